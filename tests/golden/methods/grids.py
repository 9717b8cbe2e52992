#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rounding to nearest, GPTQ and AWQ on a small layer, in double, as the authors' code has them (IST-DASLab/gptq:
gptq.py, quant.py; mit-han-lab/llm-awq: auto_scale.py, auto_clip.py), in our own words. Writes grids.txt.

    python3 tests/golden/methods/grids.py            (numpy)
"""
import numpy

from calibrated_layer import example, numbers, upper_factor, write


def as_stored(x):
    """In float: what is clipped to a range lies between two values of the grid, where the last bit decides."""
    return x.astype(numpy.float32).astype(numpy.float64)


class Grid:
    """Of each row of w: 1 bit mu + S sgn(w - mu); 1.58 bits S clamp(round(w / S), -1, 1); else from least to largest."""

    def __init__(self, w, bits, centred=False):
        self.bits, rows = bits, len(w)
        column = lambda x: numpy.reshape(x, (rows, 1))
        if bits == 1:
            self.mean = column(w.mean(1)) if centred else numpy.zeros((rows, 1))
            self.scale = column(numpy.abs(w - self.mean).mean(1))
        elif bits == 1.58:
            self.scale = column(numpy.abs(w).mean(1))
        else:
            low, high = numpy.minimum(w.min(1), 0), numpy.maximum(w.max(1), 0)
            low, high = numpy.where((low == 0) & (high == 0), -1, low), numpy.where((low == 0) & (high == 0), 1, high)
            self.scale = column((high - low) / (2**bits - 1))
            self.zero = numpy.round(column(-low) / self.scale)
        self.scale = as_stored(self.scale)

    def __call__(self, w):
        if self.bits == 1:
            return self.mean + self.scale * numpy.where(w >= self.mean, 1, -1)
        if self.bits == 1.58:
            return self.scale * numpy.clip(numpy.round(w / self.scale), -1, 1)
        code = numpy.clip(numpy.round(w / self.scale) + self.zero, 0, 2**self.bits - 1)
        return self.scale * (code - self.zero)


def rtn(w, bits, group=0, centred=False):
    group = group or w.shape[1]
    return numpy.hstack([Grid(part, bits, centred)(part) for part in
                         (w[:, first:first + group] for first in range(0, w.shape[1], group))])


def gptq(w, h, bits, group=0, act_order=False, block=128, damping=0.01):
    """The weights, and the sum of (w - q)^2 / U_jj^2 / 2."""
    w, h, cols = w.copy(), h.copy(), w.shape[1]
    grid = Grid(w, bits)
    dead = numpy.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    group = group or cols
    fixed = None
    order = numpy.arange(cols)
    if act_order:
        if group < cols:
            fixed = [Grid(w[:, first:first + group], bits) for first in range(0, cols, group)]
        order = numpy.argsort(-numpy.diag(h), kind="stable")
        w, h = w[:, order], h[numpy.ix_(order, order)]
    u = upper_factor(h, damping)
    loss = 0
    for first in range(0, cols, block):
        last = min(first + block, cols)
        now = w[:, first:last].copy()
        errors = numpy.zeros_like(now)
        for j in range(first, last):
            if fixed:
                grid = fixed[order[j] // group]
            elif group < cols and j % group == 0:
                grid = Grid(w[:, j:j + group], bits)  # as they were when the block began
            x = now[:, [j - first]]
            q = grid(x)
            errors[:, [j - first]] = (x - q) / u[j, j]
            loss += ((x - q)**2).sum() / u[j, j]**2 / 2
            now[:, j - first + 1:] -= errors[:, [j - first]] * u[j, j + 1:last]
            now[:, [j - first]] = q
        w[:, first:last] = now
        w[:, last:] -= errors @ u[first:last, last:]
    return w[:, numpy.argsort(order)], loss


def awq_scale(w, x, bits, group, ratios=20):
    """The scale of one linear layer's input by the error of what the layer gives."""
    magnitudes = numpy.abs(x).mean(0)
    best, least = None, numpy.inf
    for k in range(ratios):
        s = numpy.maximum(magnitudes**(k / ratios), 1e-4)
        s /= numpy.sqrt(s.max() * s.min())
        error = (((w - rtn(w * s, bits, group) / s) @ x.T)**2).mean()
        if error < least:
            best, least = s, error
    return best


def awq_clip(w, x, bits, group, steps=20):
    clipped = w.copy()
    for first in range(0, w.shape[1], group):
        part, seen = w[:, first:first + group], x[:, first:first + group]
        largest = numpy.abs(part).max(1, keepdims=True)
        best, least = largest.copy(), numpy.full(largest.shape, numpy.inf)
        for step in range(steps // 2):
            limit = as_stored(largest * (1 - step / steps))
            cut = numpy.clip(part, -limit, limit)
            error = (((part - Grid(cut, bits)(cut)) @ seen.T)**2).mean(1, keepdims=True)
            best, least = numpy.where(error < least, limit, best), numpy.minimum(error, least)
        clipped[:, first:first + group] = numpy.clip(part, -best, best)
    return clipped


def main():
    w, h = example()
    results = {}
    for bits in 1, 1.58, 2, 3, 4, 8:
        results[f"rtn-{bits}"] = rtn(w, bits)
    results["rtn-1-centred"] = rtn(w, 1, centred=True)
    results["rtn-3-group"] = rtn(w, 3, 64)
    for name, options in {"4": dict(bits=4), "3": dict(bits=3), "1": dict(bits=1), "1.58": dict(bits=1.58),
                          "2-group": dict(bits=2, group=32), "1-group": dict(bits=1, group=50),
                          "4-wide-group": dict(bits=4, group=100, block=40), "3-order": dict(bits=3, act_order=True),
                          "3-order-group": dict(bits=3, group=32, act_order=True)}.items():
        results["gptq-" + name], results["gptq-loss-" + name] = gptq(w, h, **options)
    values, vectors = numpy.linalg.eigh(h)
    x = numpy.sqrt(len(w.T) / 2) * (vectors * numpy.sqrt(numpy.maximum(values, 0))).T  # 2 / N x^T x = h, N = columns
    results["awq-clip-3"] = rtn(awq_clip(w, x, 3, 50), 3, 50)
    x = numbers("tokens", 60, 150) * numpy.abs(numbers("size", 150))
    s = awq_scale(w, x, 3, 50)
    results["awq-scale"] = s
    write(__file__, results)


if __name__ == "__main__":
    main()
