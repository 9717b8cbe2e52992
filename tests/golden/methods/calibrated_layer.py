# SPDX-License-Identifier: MIT
"""What the scripts for methods after training share: one small layer with its inputs, and what all methods do with its
Hessian. Numbers are functions of a name and an index, which the tests compute too (example_layer.hpp)."""
import pathlib

import hashed
import numpy

ROWS, COLS, TOKENS = 8, 150, 240


def numbers(name, *shape):
    return hashed.numbers(name, int(numpy.prod(shape))).reshape(shape)


def inputs():
    """Channels that differ in size and are correlated."""
    size = 0.25 + 2 * numpy.abs(numbers("size", COLS)) ** 3
    return size * numbers("inputs", TOKENS, COLS) + 0.2 * numbers("common", TOKENS, 1) * numbers("mix", 1, COLS)


def example():
    """W with heavy tails, in floats; H = 2/N sum x x^T of the inputs."""
    u = numbers("weight", ROWS, COLS)
    w = (u * (0.25 + u * u)).astype(numpy.float32).astype(numpy.float64)
    x = inputs()
    return w, 2 / TOKENS * x.T @ x


def upper_factor(h, damping=0.01):
    """U with H^-1 = U^T U, H damped by a share of its mean diagonal."""
    damped = h + damping * numpy.mean(numpy.diag(h)) * numpy.eye(len(h))
    return numpy.linalg.cholesky(numpy.linalg.inv(damped)).T


def with_feedback(w, u, block, quantise):
    """Block by block: quantise(columns, first); what is lost goes to the columns that come later."""
    w = w.copy()
    for first in range(0, w.shape[1], block):
        last = min(first + block, w.shape[1])
        q = quantise(w[:, first:last], first)
        error = (w[:, first:last] - q) / numpy.diag(u)[first:last]
        w[:, first:last] = q
        w[:, last:] -= error @ u[first:last, last:]
    return w


def write(script, results):
    """A few projections of each result, line by line "key value...": equal ones mean equal matrices."""
    lines = []
    for key, value in results.items():
        value = numpy.atleast_1d(value)
        if value.ndim == 2:
            value = (value @ numbers("probe", value.shape[1], 3)).ravel()
        lines.append(" ".join([key] + ["%.17g" % v for v in value]))
    pathlib.Path(script).with_suffix(".txt").write_text("\n".join(lines) + "\n")
