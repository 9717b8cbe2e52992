#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""IR-Net (arXiv 1909.10788), as the official code computes it: python3 tests/golden/methods/irnet.py"""
import torch

from error_decay import error_decay
from trained_layer import SlopedSign, over_the_steps, write


def forward(p, x, t):
    centred = p["weight"] - p["weight"].mean(1, keepdim=True)
    standard = centred / centred.std(1, keepdim=True)  # unbiased
    scale = 2 ** torch.round(torch.log2(standard.abs().mean(1, keepdim=True)))
    return x @ (SlopedSign.apply(standard, error_decay(t)) * scale.detach()).T


write("irnet", lambda w: {"weight": w}, forward, {"weight"}, t=over_the_steps(lambda share: 0.1 * 100**share))
