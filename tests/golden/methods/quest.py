#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""QuEST at one bit a weight, after its quantiser with clipped gradients: python3 tests/golden/methods/quest.py"""
import math

import torch

from layer_with_sides import IN, sign, write

BLOCK = 4  # the largest power of two that divides 20
H = torch.ones(1, 1)
while H.shape[0] < BLOCK:
    H = torch.cat([torch.cat([H, H], 1), torch.cat([H, -H], 1)], 0)
H /= math.sqrt(BLOCK)


def rotate(x):
    return (x.view(*x.shape[:-1], IN // BLOCK, BLOCK) @ H).view_as(x)


def forward(p, x, _):
    r = rotate(p["weight"])
    s = math.sqrt(2 / math.pi) * (torch.sqrt((r**2).mean(-1, keepdim=True)) + 1e-8).detach()
    passed = r * (r.abs() <= 1.25 * s)
    w_b = passed + (s * sign(r) - passed).detach()
    return rotate(x) @ w_b.T


write("quest", lambda w: {"weight": w}, forward, {"weight"})
