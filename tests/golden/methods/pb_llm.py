#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PB-LLM's quantisation-aware training (arXiv 2310.00034), as the official code computes it but for the zero point of
its eight bits, which the code rounds to a whole number; see trained_layer.py."""
import torch
from trained_layer import Sign, identity, weight, write

SHARE = 0.1


def eight_bits(w):
    low = w.min(1, keepdim=True)[0]
    step = (w.max(1, keepdim=True)[0] - low) / 255
    return low + step * torch.round((w - low) / step)


w = weight(5, 12)
flat, n = w.flatten(), w.numel()
lower = flat.kthvalue(int(n * SHARE / 2))[0]
upper = flat.kthvalue(int(n * (1 - SHARE / 2)))[0]
mask = (w < lower) | (w > upper)


def effective(p, t):
    scale = p["weight"][~mask].abs().mean().detach()
    return torch.where(mask, p["weight"].detach(), Sign.apply(p["weight"], identity) * scale)


write(__file__, effective, {"weight": eight_bits(w)}, decays=())
