#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""AdaBin's weights (arXiv 2208.08084), as the official code computes them; see trained_layer.py."""
from trained_layer import Sign, ede, weight, write


def effective(p, t):
    w = p["weight"]
    beta, alpha = w.mean(1, keepdim=True), w.std(1, keepdim=True, unbiased=False)
    return Sign.apply((w - beta) / alpha, ede(t)) * alpha + beta


write(__file__, effective, {"weight": weight()}, t=lambda share: 1e-3 * 1e4**share)
