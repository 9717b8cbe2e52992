#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BinaryConnect's weights (arXiv 1511.00363), deterministic: python3 tests/golden/methods/binaryconnect.py"""
from trained_layer import IN, OUT, sign, straight_through, write


def forward(p, x, _):
    return x @ straight_through(p["weight"], sign(p["weight"])).T


write("binaryconnect", lambda w: {"weight": w}, forward, {"weight"}, factor=3.0,
      rates={"weight": ((IN + OUT) / 1.5) ** 0.5}, after_update=lambda p, _: p["weight"].clamp_(-1, 1))
