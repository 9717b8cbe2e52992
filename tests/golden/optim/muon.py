#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes muon.txt: weights after three steps of PyTorch's optim.Muon, in double instead of bfloat16.

    python3 tests/golden/optim/muon.py            (torch 2.9 or later)

Of weights w_i = sin(i + 1) and gradients cos(0.7 i + step), i counting elements by rows. Lines: rows, cols, decay, and
the weights.
"""
import pathlib

import torch

torch.bfloat16 = torch.float64  # what the iteration computes in


def trained(rows, cols, decay):
    i = torch.arange(rows * cols, dtype=torch.float64).reshape(rows, cols)
    w = torch.nn.Parameter(torch.sin(i + 1))
    muon = torch.optim.Muon([w], lr=0.02, weight_decay=decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(1, 4):
        w.grad = torch.cos(0.7 * i + step)
        muon.step()
    return w.detach().flatten().tolist()


lines = []
for rows, cols, decay in [(3, 7, 0.1), (7, 3, 0.0), (4, 4, 0.1)]:
    lines.append(" ".join([str(rows), str(cols), repr(decay)] + [repr(x) for x in trained(rows, cols, decay)]))
pathlib.Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n")
