#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""OneBit, after the forward pass of its BitLinear: python3 tests/golden/methods/onebit.py"""
import torch

from layer_with_sides import OUT, IN, Sign, outer_product, sign, standardised, write


def start(w):
    size, h, g = outer_product(w)
    root = torch.sqrt(size / (OUT * IN) ** 0.5)  # h and g of equal root mean square
    return {"weight": 0.01 * sign(w), "row": root * OUT**0.5 * h, "column": root * IN**0.5 * g}


def forward(p, x, _):
    b = Sign.apply(p["weight"], lambda w: 1.001 - torch.tanh(w) ** 2)
    return standardised(((x * p["column"]) @ b.T) * p["row"])


write("onebit", start, forward, {"weight"})
