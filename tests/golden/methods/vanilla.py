#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The vanilla sign, Eq. 2 of arXiv 2508.06974: dW = dW_b; see trained_layer.py."""
from trained_layer import sign, weight, write


def effective(p, t):
    w = p["weight"]
    return w + (w.abs().mean(1, keepdim=True) * sign(w) - w).detach()


write(__file__, effective, {"weight": weight()})
