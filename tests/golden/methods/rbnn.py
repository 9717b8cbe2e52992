#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""RBNN (arXiv 2009.13055) without its rotation: python3 tests/golden/methods/rbnn.py"""
from trained_layer import SlopedSign, over_the_steps, write


def triangle(t):
    k = max(1 / t, 1)
    return lambda x: k * (2**0.5 * t - t**2 * x.abs()).clamp(min=0)


def forward(p, x, t):
    centred = p["weight"] - p["weight"].mean(1, keepdim=True)
    return p["alpha"] * (x @ SlopedSign.apply(centred / centred.std(1, keepdim=True), triangle(t)).T)


write("rbnn", lambda w: {"weight": w, "alpha": w.abs().mean(1)}, forward, {"weight"},
      t=over_the_steps(lambda share: 0.01 * 1000**share))
