#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The weights of binarised neural networks (arXiv 1602.02830): hard-tanh straight-through; see trained_layer.py."""
from trained_layer import Sign, weight, write

w = weight()
write(__file__, lambda p, t: Sign.apply(p["weight"], lambda x: (x.abs() <= 1).to(x.dtype)), {"weight": w},
      decays=(), rates={"weight": (sum(w.shape) / 1.5) ** 0.5},
      after_update=lambda p, t: p["weight"].clamp_(-1, 1))
