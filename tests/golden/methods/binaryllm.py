#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""BinaryLLM's weight (arXiv 2508.06974, Eq. 4 and 9), a chunk a step; see trained_layer.py."""
import math

import torch

from trained_layer import STEPS, weight, write


def effective(p, t):
    w = p["weight"]
    scale = w.abs().mean(1, keepdim=True)
    return p["scale"][:, None] * scale * torch.tanh(t * w / scale) / math.tanh(t)


w = weight()
write(__file__, effective, {"weight": w, "scale": torch.ones(len(w), dtype=w.dtype)},
      t=lambda share: 1.3 * math.exp(0.22 * 20 * (share + 1 / STEPS)) - 1.3)
