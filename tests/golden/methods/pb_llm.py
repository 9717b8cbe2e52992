#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PB-LLM's quantisation-aware training (arXiv 2310.00034), as the official code computes it but for the zero point of
its eight bits, which the code rounds to a whole number: python3 tests/golden/methods/pb_llm.py"""
import torch

from trained_layer import OUT, IN, hashed, sign, straight_through, write

SHARE = 0.1
dense = hashed("dense", OUT, IN)
flat, n = dense.flatten(), dense.numel()
lower, upper = flat.kthvalue(int(n * SHARE / 2))[0], flat.kthvalue(int(n * (1 - SHARE / 2)))[0]
salient = (dense < lower) | (dense > upper)


def eight_bits_of_rows(w):
    low = w.min(1, keepdim=True)[0]
    step = (w.max(1, keepdim=True)[0] - low) / 255
    return {"weight": low + step * torch.round((w - low) / step)}


def forward(p, x, _):
    w = p["weight"]
    scale = w[~salient].abs().mean().detach()
    return x @ torch.where(salient, w.detach(), straight_through(w, sign(w)) * scale).T


write("pb_llm", eight_bits_of_rows, forward, {"weight"})
