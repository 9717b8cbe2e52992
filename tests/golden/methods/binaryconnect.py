#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BinaryConnect's weights (arXiv 1511.00363), deterministic; see trained_layer.py."""
from trained_layer import Sign, identity, weight, write

w = weight()
write(__file__, lambda p, t: Sign.apply(p["weight"], identity), {"weight": w},
      decays=(), rates={"weight": (sum(w.shape) / 1.5) ** 0.5},
      after_update=lambda p, t: p["weight"].clamp_(-1, 1))
