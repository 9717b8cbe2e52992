#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hestia (arXiv 2601.20745) with the codes -1 and +1 and one temperature; see trained_layer.py. The blend first, for a
fifth of the steps, then the temperature from 1.34 to 0 along half a cosine, then the sign, straight-through."""
import math

import torch

from trained_layer import STEPS, sign, weight, write


def settings(share):
    """p and T."""
    done = share + 1 / STEPS
    if done < 0.2:
        return done / 0.2, 1.34
    return 1, 0.67 * (1 + math.cos(math.pi * min((done - 0.2) / 0.8, 1)))


def effective(p, now):
    share, temperature = now
    w = p["weight"]
    scale = w.abs().mean(1, keepdim=True)
    x = w / scale
    if temperature < 1e-9:
        rounded = x + (sign(x) - x).detach()
    else:
        codes = torch.tensor([-1.0, 1.0], dtype=w.dtype)
        rounded = (codes * torch.softmax(-((x[..., None] - codes) ** 2) / temperature, -1)).sum(-1)
    return (1 - share) * w + share * scale * rounded


write(__file__, effective, {"weight": weight()}, decay=0.01, t=settings)
