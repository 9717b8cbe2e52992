#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""DB-LLM's flexible dual binarisation (arXiv 2402.11960) by its equations, there is no code:
python3 tests/golden/methods/db_llm.py"""
from trained_layer import straight_through, write

ROWS, RUNS, RUN = 2, 2, 36  # rows of 72: the largest divisor up to 64


def heaviside(x):
    return straight_through(x, (x >= 0).to(x))


def start(w):
    s = w.reshape(ROWS, RUNS, RUN).abs().amax(2) / 2
    return {"weight": w, "alpha1": 2 * s, "alpha2": -s}


def forward(p, x, _):
    w, a1, a2 = p["weight"].reshape(ROWS, RUNS, RUN), p["alpha1"][..., None], p["alpha2"][..., None]
    b1 = heaviside(w - (a1 + a2) / 2)
    b2 = heaviside(-(w - a1 * b1 - a2 / 2))
    return x @ (a1 * b1 + a2 * b2).reshape(ROWS, RUNS * RUN).T


write("db_llm", start, forward, {"weight"}, shape=(ROWS, RUNS * RUN))
