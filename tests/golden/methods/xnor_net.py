#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""XNOR-Net's weights (arXiv 1603.05279): the paper's term of the chain rule through the mean, in xnor_net.txt, and
all of it, by autograd, in xnor_net_full.txt; see trained_layer.py."""
from trained_layer import Sign, sign, weight, write


def clip(w):
    return (w.abs() <= 1).to(w.dtype)


def diagonal(p, t):
    w = p["weight"]
    scale = w.abs().mean(1, keepdim=True).detach()
    slope = 1 / w.shape[1] + scale * clip(w)
    return scale * sign(w).detach() + slope.detach() * (w - w.detach())


def full(p, t):
    w = p["weight"]
    return w.abs().mean(1, keepdim=True) * Sign.apply(w, clip)


write(__file__, diagonal, {"weight": weight()}, decays=())
write(__file__.replace(".py", "_full.py"), full, {"weight": weight()}, decays=())
