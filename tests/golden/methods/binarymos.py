#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BinaryMoS, after its linear layer: python3 tests/golden/methods/binarymos.py"""
import torch

from layer_with_sides import IN, Sign, hashed, outer_product, write

EXPERTS = 4


def start(w):
    size, a, b = outer_product(w)
    repeated = lambda v: (torch.sqrt(size) * v)[:, None].repeat(1, EXPERTS)
    return {"weight": w, "router": hashed("router", EXPERTS, IN), "row": repeated(a), "column": repeated(b)}


def forward(p, x, _):
    share = torch.softmax(x @ p["router"].T, -1)
    b = Sign.apply(p["weight"], lambda w: ((w > -1) & (w < 1)).to(w))
    return ((x * (share @ p["column"].T)) @ b.T) * (share @ p["row"].T)


write("binarymos", start, forward, {"weight", "router"}, factor=2.5)
