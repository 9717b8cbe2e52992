#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BitNet, both of its generations and the 16-bit form of the first: python3 tests/golden/methods/bitnet.py"""
import torch

from layer_with_sides import IN, eight_bits, sign, standardised, straight_through, write


def first(p, x, _):
    w = p["weight"]
    w_b = straight_through(w, w.abs().mean() * sign(w - w.mean()))
    n = standardised(x)
    return straight_through(n, eight_bits(n)) @ w_b.T


def first_w1a16(p, x, _):
    w = p["weight"]
    eta = (w - w.mean()).abs().mean().detach()
    return eta * standardised(x @ straight_through(w, sign(w - w.mean())).T)


def ternary(w):
    g = w.abs().mean().clamp(min=1e-5)
    return (w / g).round().clamp(-1, 1) * g


def b158(p, x, t):
    w = p["weight"]
    if "norm" in p:
        x = x * torch.rsqrt((x**2).mean(-1, keepdim=True) + 1e-5) * p["norm"]
    w_b = w + t * (ternary(w) - w).detach()
    return (x + t * (eight_bits(x) - x).detach()) @ w_b.T


latent = lambda w: {"weight": w}
write("bitnet", latent, first, {"weight"})
write("bitnet_w1a16", latent, first_w1a16, {"weight"})
rising = [k / 9 for k in range(10)]
write("bitnet_158", latent, b158, {"weight"}, t=rising)
with_norm = lambda w: {"weight": w, "norm": torch.ones(IN).double()}
write("bitnet_158_subnorm", with_norm, b158, {"weight"}, t=rising)
