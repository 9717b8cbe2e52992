#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes dbf.txt: double binary factorisation (Boza and Macko, arXiv 2505.11076) as its code computes it, in double, with
norms of inputs alone. The power method starts from ones, and both factors from the numbers of a hash.

    python3 tests/golden/methods/dbf.py            (numpy)

Lines, for a wide weight and a tall one: the product, and the error of W with its inputs' norms.
"""
import numpy
from calibrated_layer import example, numbers, write

ITERATIONS = 12


def rank_one_signs(x):
    v = numpy.ones(x.shape[1])
    v /= numpy.linalg.norm(v)
    for _ in range(5):
        u = numpy.abs(x) @ v
        u /= numpy.linalg.norm(u)
        v = numpy.abs(x).T @ u
        v /= numpy.linalg.norm(v)
    return numpy.outer(numpy.abs(x) @ v, v) * numpy.where(x < 0, -1, 1)


def improve(a, w, z, u, first):
    gram = a.T @ a
    gram += 0.03 * gram.diagonal().mean() * numpy.eye(len(gram))
    for rho in (first, 1, 1):
        b = numpy.linalg.inv(gram + rho * numpy.eye(len(gram))) @ (a.T @ w + rho * (z - u))
        z = rank_one_signs(b + u)
        u = u + b - z
    return z, u


def factor_wide(w, a, b):
    au, bu = numpy.zeros_like(a), numpy.zeros_like(b)
    for step in range(ITERATIONS):
        rho = min(1.0, step / (ITERATIONS - 3)) ** 3
        norm = numpy.linalg.norm(b, axis=1) + 1e-12
        az, uz = improve(b.T / norm, w.T, a.T, au.T, rho)
        a, au = az.T, uz.T
        norm = numpy.linalg.norm(a, axis=0) + 1e-12
        b, bu = improve(a / norm, w, b, bu, rho)
    return a / norm @ b


def dbf(w, h, bits):
    norm = numpy.sqrt(numpy.diag(h)) + 1e-8
    rank = int(bits * w.size / sum(w.shape))
    a, b = numbers("left", w.shape[0], rank), numbers("right", rank, w.shape[1])
    weighted = w * norm
    if w.shape[0] >= w.shape[1]:
        q = factor_wide(weighted.T, b.T, a.T).T
    else:
        q = factor_wide(weighted, a, b)
    return q / norm, numpy.sum((weighted - q) ** 2)


if __name__ == "__main__":
    w, h = example()
    results = {}
    for key, weight, hessian in (("wide", w, h), ("tall", w.T, numpy.diag(1 + numpy.arange(8.0)))):
        results[key], results[key + "_error"] = dbf(weight, hessian, 2)
    write(__file__, results)
