#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The weights of binarised neural networks (arXiv 1602.02830): python3 tests/golden/methods/bnn.py"""
from trained_layer import IN, OUT, SlopedSign, write


def forward(p, x, _):
    return x @ SlopedSign.apply(p["weight"], lambda w: (w.abs() <= 1).to(w)).T


write("bnn", lambda w: {"weight": w}, forward, {"weight"}, factor=3.0,
      rates={"weight": ((IN + OUT) / 1.5) ** 0.5}, after_update=lambda p, _: p["weight"].clamp_(-1, 1))
