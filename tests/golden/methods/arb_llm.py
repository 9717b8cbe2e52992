#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes arb_llm.txt: ARB-LLM (Li et al., arXiv 2410.03129) as its code computes it, in double.

    python3 tests/golden/methods/arb_llm.py            (numpy)

Lines: for arb, arb-x and arb-rc, with the column-group bitmap (cgb) and without, the restored matrix and its error
tr((W-Q) H (W-Q)^T).
"""
import numpy
from billm import BLOCK, LEVELS, masked_mean, residual, salient_columns, saliency, split
from calibrated_layer import example, upper_factor, with_feedback, write

ROUNDS = 15


def dot(a, b, axis=1):
    return (a * b).sum(axis=axis, keepdims=True)


def start(x, mask, order):
    """Mean, and a scale and signs of each order, as residual() finds them."""
    total, mean, scales, signs = numpy.zeros_like(x), 0, [], []
    for _ in range(order):
        rest = x - total
        m = masked_mean(rest, mask)
        scales.append(masked_mean(numpy.abs(rest - m), mask))
        signs.append(numpy.sign(rest - m) * mask)
        mean = mean + m
        total = total + (scales[-1] * signs[-1] + m) * mask
    return mean, scales, signs


def nearest(y, a, b):
    """Signs s, t with s a + t b nearest to y."""
    pairs = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    chosen = numpy.argmin([numpy.abs(y - s * a - t * b) for s, t in pairs], axis=0)
    return (numpy.array([s for s, _ in pairs])[chosen], numpy.array([t for _, t in pairs])[chosen])


def arb(x, mask, order, s=None):
    x = x * mask
    mean, scales, signs = start(x, mask, order)

    def value():
        return (mean + sum(a * b for a, b in zip(scales, signs))) * mask

    for _ in range(ROUNDS):
        mean = mean + masked_mean(x - value(), mask)
        for k in range(order):
            others = sum((scales[i] * signs[i] for i in range(order) if i != k), mean) * mask
            scales[k] = dot(signs[k], x - others) / (dot(signs[k], signs[k]) + 1e-8)
        if order == 1:
            signs[0] = numpy.sign(x - mean) * mask
        else:
            signs = [b * mask for b in nearest(x - mean * mask, *scales)]
    if s is None:
        return value()
    weighted = [b @ s for b in signs]  # rows of B S
    ones = (mask * 1.0) @ s
    for _ in range(ROUNDS):
        mean = dot(ones, x - value() + mean * mask) / (dot(ones, mask * 1.0) + 1e-10)
        for k in range(order):
            others = sum((scales[i] * signs[i] for i in range(order) if i != k), mean) * mask
            scales[k] = dot(weighted[k], x - others) / (dot(weighted[k], signs[k]) + 1e-10)
    return value()


def arb_rc(x, mask, order):
    x = x * mask
    total, rows, columns, signs = numpy.zeros_like(x), [], [], []
    for _ in range(order):
        rest = x - total
        r = masked_mean(numpy.abs(rest), mask)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            c = masked_mean(numpy.abs(rest / r), mask, axis=0)
        rows.append(r), columns.append(c), signs.append(numpy.sign(rest) * mask)
        total = total + r * c * signs[-1]
    for _ in range(ROUNDS):
        for k in range(order):
            rest = x - sum(rows[i] * columns[i] * signs[i] for i in range(order) if i != k)
            cb = columns[k] * signs[k]
            rows[k] = dot(cb, rest) / (dot(cb, cb) + 1e-8)
            rb = rows[k] * signs[k]
            columns[k] = dot(rb, rest, 0) / (dot(rb, rb, 0) + 1e-8)
        if order == 2:
            signs = [b * mask for b in nearest(x, *[r * c for r, c in zip(rows, columns)])]
    return sum(r * c * b for r, c, b in zip(rows, columns, signs))


def arb_llm(w, h, method, cgb):
    u = upper_factor(h)

    def quantise(x, first):
        here = slice(first, first + x.shape[1])
        s = h[here, here]
        fit = {"arb": arb, "arb-x": lambda *a: arb(*a, s), "arb-rc": arb_rc}[method]
        t = saliency(x, numpy.diag(u)[here], "hessian")
        salient = salient_columns(t)
        rest = ~salient
        groups = [(salient, 2)]
        if cgb:
            inside = numpy.abs(t[salient])
            large = split(t, salient, numpy.quantile(inside[inside != 0], LEVELS), 2,
                          lambda q: numpy.mean((t - q) ** 2))
            groups = [(large, 2), (salient & ~large, 2)]
        fixed = (arb_rc if method == "arb-rc" else arb)(t, salient, 2)

        def error_of(q):
            e = t - q - fixed
            return numpy.sum(e.T @ e * s) if method == "arb-x" else numpy.mean(e**2)

        large = split(t, rest, numpy.quantile(numpy.abs(t * rest), LEVELS), 1, error_of)
        return sum(fit(x, mask, order) for mask, order in groups + [(large, 1), (rest & ~large, 1)])

    q = with_feedback(w, u, BLOCK, quantise)
    return q, numpy.trace((w - q) @ h @ (w - q).T)


if __name__ == "__main__":
    layer, results = example(), {}
    for name in ("arb", "arb-x", "arb-rc"):
        for cgb in (False, True):
            key = name + ("_cgb" if cgb else "")
            results[key], results[key + "_error"] = arb_llm(*layer, name, cgb)
    write(__file__, results)
