#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""INQ (arXiv 1702.03044) with one bit a weight, and with the powers of two of its paper; see trained_layer.py."""
import math
import pathlib

import torch
from trained_layer import weight, write

SHARES = [0.5, 0.75, 0.875, 1.0]


def signs(w):
    s = w.abs().mean(1, keepdim=True)
    return lambda now: s * torch.where(now >= 0, 1.0, -1.0)


def powers_of_two(w, bits=5):
    n1 = math.floor(math.log2(4 * w.abs().max() / 3))
    n2 = n1 + 1 - 2 ** (bits - 1) // 2
    levels = [0.0] + [2.0**n for n in range(n2, n1 + 1)]

    def nearest(now):
        q = torch.zeros_like(now)
        for below, level in zip(levels, levels[1:]):
            inside = (now.abs() >= (below + level) / 2) & (now.abs() < 3 * level / 2)
            q = torch.where(inside, level * torch.sign(now), q)
        return torch.where(now.abs() >= 3 * levels[-1] / 2, levels[-1] * torch.sign(now), q)

    return nearest


class Incremental:
    """Holds what is frozen, and freezes more of the largest."""

    def __init__(self, w, rule):
        self.nearest, self.frozen, self.held = rule(w), torch.zeros_like(w, dtype=torch.bool), torch.zeros_like(w)
        self.share = 0.0

    def freeze(self, w, share):
        more = round(share * w.numel()) - int(self.frozen.sum())
        order = torch.where(self.frozen, -1.0, w.abs()).flatten().argsort(descending=True, stable=True)[:more]
        chosen = torch.zeros(w.numel(), dtype=torch.bool)
        chosen[order] = True
        chosen = chosen.reshape(w.shape)
        self.held = torch.where(chosen, self.nearest(w), self.held)
        self.frozen |= chosen
        self.share = share
        w.copy_(torch.where(self.frozen, self.held, w))

    def effective(self, p, t):
        return torch.where(self.frozen, self.held, p["weight"])

    def after_update(self, p, t):
        p["weight"].copy_(torch.where(self.frozen, self.held, p["weight"]))
        if t > self.share:
            self.freeze(p["weight"], t)


for name, rule in {"inq": signs, "inq_powers": powers_of_two}.items():
    w = weight()
    incremental = Incremental(w, rule)
    incremental.freeze(w, SHARES[0])
    write(pathlib.Path(__file__).with_name(name + ".py"), incremental.effective, {"weight": w},
          t=lambda share: SHARES[int(4 * share)], after_update=incremental.after_update)
