#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FBI-LLM's weights (arXiv 2407.07093), one pair of scales a column: python3 tests/golden/methods/fbi_llm.py"""
from trained_layer import sign, straight_through, write


def start(w):
    return {"weight": w, "alpha": (w - w.mean(0)).abs().mean(0), "beta": w.mean(0)}


def forward(p, x, _):
    return x @ (p["alpha"] * straight_through(p["weight"], sign(p["weight"])) + p["beta"]).T


write("fbi_llm", start, forward, {"weight", "alpha", "beta"})
