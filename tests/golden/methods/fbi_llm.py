#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FBI-LLM's weights (arXiv 2407.07093), one pair of scales a column; see trained_layer.py."""
from trained_layer import Sign, identity, weight, write

w = weight()
write(__file__, lambda p, t: p["alpha"] * Sign.apply(p["weight"], identity) + p["beta"],
      {"weight": w, "alpha": (w - w.mean(0)).abs().mean(0), "beta": w.mean(0)}, decays=("weight", "alpha", "beta"))
