#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DB-LLM's flexible dual binarisation (arXiv 2402.11960), by its equations: there is no code; see trained_layer.py."""
import torch
from trained_layer import weight, write


class Heaviside(torch.autograd.Function):
    """1 from 0 on; its derivative is taken for 1."""

    @staticmethod
    def forward(ctx, x):
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g


def effective(p, t):
    w = p["weight"].reshape(2, 2, 36)  # rows of 72 in runs of 36, the largest divisor up to 64
    a1, a2 = p["alpha1"][..., None], p["alpha2"][..., None]
    b1 = Heaviside.apply(w - (a1 + a2) / 2)
    b2 = Heaviside.apply(-(w - a1 * b1 - a2 / 2))
    return (a1 * b1 + a2 * b2).reshape(2, 72)


w = weight(2, 72)
s = w.reshape(2, 2, 36).abs().max(2)[0] / 2
write(__file__, effective, {"weight": w, "alpha1": 2 * s, "alpha2": -s})
