#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes billm.txt: BiLLM (Huang et al., arXiv 2402.04291) as its code computes it, in double.

    python3 tests/golden/methods/billm.py            (numpy)

Lines: the restored matrix, its error tr((W-Q) H (W-Q)^T) and the salient columns of each block, by metric.
"""
import warnings

import numpy
from calibrated_layer import COLS, example, upper_factor, with_feedback, write

BLOCK = 64
LEVELS = numpy.linspace(0.10, 0.90, 81)
warnings.filterwarnings("ignore", "Mean of empty slice")


def masked_mean(x, mask, axis=1):
    return numpy.nan_to_num(numpy.nanmean(numpy.where(mask, x, numpy.nan), axis=axis, keepdims=True))


def residual(x, mask, order):
    """Signs with a mean and a scale a row, `order` times over: each takes what the one before has left."""
    total = numpy.zeros_like(x)
    for _ in range(order):
        rest = x - total
        mean = masked_mean(rest, mask)
        scale = masked_mean(numpy.abs(rest - mean), mask)
        total = total + numpy.where(mask, scale * numpy.sign(rest - mean) + mean, 0)
    return total


def saliency(w, diagonal, metric):
    return w**2 / diagonal**2 if metric == "hessian" else w


def salient_columns(t):
    """The best number of columns, of those with the largest sums, that get two orders by themselves."""
    order = numpy.argsort(-numpy.abs(t).sum(axis=0), kind="stable")
    best, least = None, numpy.inf
    for k in range(1, min(50, t.shape[1])):
        mask = numpy.zeros(t.shape, bool)
        mask[:, order[:k]] = True
        error = numpy.mean((t - residual(t, mask, 2) - residual(t, ~mask, 2)) ** 2)
        if error < least:
            best, least = mask, error
    return best


def split(t, inside, thresholds, order, error_of):
    """Which of the weights inside are large: by the threshold with the least error of both parts."""
    size = numpy.abs(t)
    best, least = inside & (size >= thresholds[0]), numpy.inf
    for p in thresholds:
        small, large = inside & (size < p), inside & (size >= p)
        error = error_of(residual(t, small, order) + residual(t, large, order))
        if error < least:
            best, least = large, error
    return best


def billm(w, h, metric):
    u = upper_factor(h)
    columns = []

    def quantise(x, first):
        t = saliency(x, numpy.diag(u)[first : first + x.shape[1]], metric)
        salient = salient_columns(t)
        rest = ~salient
        fixed = residual(t, salient, 2)
        thresholds = numpy.quantile(numpy.abs(t * rest), LEVELS)
        large = split(t, rest, thresholds, 1, lambda q: numpy.mean((t - q - fixed) ** 2))
        columns.extend(first + numpy.flatnonzero(salient[0]))
        return residual(x, rest & ~large, 1) + residual(x, large, 1) + residual(x, salient, 2)

    q = with_feedback(w, u, BLOCK, quantise)
    return {metric: q, f"{metric}_error": numpy.trace((w - q) @ h @ (w - q).T), f"{metric}_salient": columns}


if __name__ == "__main__":
    layer = example()
    identity = layer[0], numpy.eye(COLS)
    write(__file__, {**billm(*layer, "hessian"), **billm(*layer, "magnitude"),
                     **{f"identity_{key}": value for key, value in billm(*identity, "hessian").items()}})
