#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ReActNet's two steps in a linear layer, and its 16-bit form: python3 tests/golden/methods/reactnet.py"""
import torch

from layer_with_sides import IN, OUT, Sign, sign, write


def start(slope):
    zeros = lambda n: torch.zeros(n).double()
    return lambda w: {"weight": w, "shift": zeros(IN), "first": zeros(OUT),
                      "slope": torch.full((OUT,), slope).double(), "last": zeros(OUT)}


def weight(w):
    s = w.abs().mean(1, keepdim=True).detach()
    clipped = w.clamp(-1, 1)  # its gradient is 1 where |w| <= 1, and no scale multiplies it
    return clipped + (s * sign(w) - clipped).detach()


def behind(p, y):
    y = y + p["first"]
    return torch.where(y > 0, y, p["slope"] * y) + p["last"]


def one(p, x, t):
    a = Sign.apply(x + p["shift"], lambda z: 2 * (1 - z.abs()).clamp(min=0))
    return behind(p, a @ (p["weight"] if t < 1 else weight(p["weight"])).T)


def sixteen(p, x, _):
    return behind(p, (x + p["shift"]) @ weight(p["weight"]).T)


write("reactnet", start(0.25), one, {"weight"}, factor=2.5, t=[0.0] * 5 + [1.0] * 5)
write("reactnet_w1a16", start(1.0), sixteen, {"weight"}, factor=2.5)
