#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The error decay estimator (arXiv 1909.10788) on the vanilla sign, t from 0.1 to 10; see trained_layer.py."""
import torch

from trained_layer import STEPS, ede, sign, weight, write


def effective(p, t):
    w = p["weight"]
    scale = w.abs().mean(1, keepdim=True).detach()
    slope = ede(t)(w / scale).detach()
    return scale * sign(w).detach() + slope * (w - w.detach())


write(__file__, effective, {"weight": weight()}, t=lambda share: 0.1 * 100 ** (share + 1 / STEPS))
