#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""IR-Net (arXiv 1909.10788), as the official code computes it; see trained_layer.py."""
import torch
from trained_layer import Sign, ede, weight, write


def effective(p, t):
    w = p["weight"]
    centred = w - w.mean(1, keepdim=True)
    standard = centred / centred.std(1, keepdim=True)  # unbiased
    scale = 2 ** torch.round(torch.log2(standard.abs().mean(1, keepdim=True)))
    return Sign.apply(standard, ede(t)) * scale.detach()


write(__file__, effective, {"weight": weight()}, t=lambda share: 0.1 * 100**share)
