#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""AdaBin's weights (arXiv 2208.08084), as the official code computes them: python3 tests/golden/methods/adabin.py"""
from error_decay import error_decay
from trained_layer import SlopedSign, over_the_steps, write


def forward(p, x, t):
    w = p["weight"]
    beta, alpha = w.mean(1, keepdim=True), w.std(1, keepdim=True, unbiased=False)
    return x @ (SlopedSign.apply((w - beta) / alpha, error_decay(t)) * alpha + beta).T


write("adabin", lambda w: {"weight": w}, forward, {"weight"}, t=over_the_steps(lambda share: 1e-3 * 1e4**share))
