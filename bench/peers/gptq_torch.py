#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""GPTQ of one linear layer in PyTorch, in our own words, step by step as the authors' code goes (IST-DASLab/gptq,
gptq.py and quant.py), or with --package by the package GPTQModel: what bench/gptq.cpp is measured beside. On a GPU with
--device cuda.

    gptq_torch.py [--in 4096] [--out 4096] [--windows 128] [--context 2048] [--bits 4] [--group 128] [--order]
                  [--package] [--threads 2] [--device cpu] [--json]

Exit status 3: there is no torch, or no GPTQModel.
"""
import argparse
import contextlib
import json
import resource
import sys
import time

try:
    import torch
except ImportError:
    sys.exit(3)


class Hessian:
    """2 / N sum x x^T over so many windows, as a running mean."""

    def __init__(self, channels, device):
        self.sum = torch.zeros(channels, channels, device=device)
        self.windows = 0

    def add(self, x):
        self.sum *= self.windows / (self.windows + 1)
        self.windows += 1
        columns = (2 / self.windows) ** 0.5 * x.t().float()
        self.sum += columns.matmul(columns.t())


class Grid:
    def __init__(self, bits):
        self.levels = 2**bits - 1

    def fit(self, w):
        zero = torch.zeros(len(w), device=w.device)
        low, high = torch.minimum(w.min(1)[0], zero), torch.maximum(w.max(1)[0], zero)
        empty = (low == 0) & (high == 0)
        low[empty], high[empty] = -1, 1
        self.scale = ((high - low) / self.levels).unsqueeze(1)
        self.zero = torch.round(-low.unsqueeze(1) / self.scale)

    def __call__(self, w):
        code = torch.clamp(torch.round(w / self.scale) + self.zero, 0, self.levels)
        return self.scale * (code - self.zero)


def quantise(weight, hessian, bits, group, order, block=128, damping=0.01):
    w, h, columns = weight.clone().float(), hessian, weight.shape[1]
    grid = Grid(bits)
    grid.fit(w)
    dead = torch.diag(h) == 0
    h[dead, dead] = 1
    w[:, dead] = 0
    fixed = []
    if order:
        for first in range(0, columns, group):
            fixed.append(Grid(bits))
            fixed[-1].fit(w[:, first:first + group])
        by_size = torch.argsort(torch.diag(h), descending=True)
        w, h = w[:, by_size], h[by_size][:, by_size]
        back = torch.argsort(by_size)
    diagonal = torch.arange(columns, device=w.device)
    h[diagonal, diagonal] += damping * torch.mean(torch.diag(h))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    u = torch.linalg.cholesky(inverse, upper=True)
    q, losses = torch.zeros_like(w), torch.zeros_like(w)
    for first in range(0, columns, block):
        last = min(first + block, columns)
        w_block = w[:, first:last].clone()
        q_block, errors, loss = torch.zeros_like(w_block), torch.zeros_like(w_block), torch.zeros_like(w_block)
        u_block = u[first:last, first:last]
        for i in range(last - first):
            column, pivot = w_block[:, i], u_block[i, i]
            if order:
                grid = fixed[by_size[first + i].item() // group]
            elif (first + i) % group == 0:
                grid.fit(w[:, first + i:first + i + group])
            rounded = grid(column.unsqueeze(1)).flatten()
            q_block[:, i] = rounded
            loss[:, i] = (column - rounded)**2 / pivot**2
            error = (column - rounded) / pivot
            w_block[:, i:] -= error.unsqueeze(1).matmul(u_block[i, i:].unsqueeze(0))
            errors[:, i] = error
        q[:, first:last] = q_block
        losses[:, first:last] = loss / 2
        w[:, last:] -= errors.matmul(u[first:last, last:])
    return q[:, back] if order else q


class Script:
    """The two parts of the work, one after the other."""

    def __init__(self, weight, o):
        self.weight, self.o, self.hessian = weight, o, Hessian(weight.shape[1], o.device)

    def add(self, x):
        self.hessian.add(x)

    def quantise(self):
        return quantise(self.weight, self.hessian.sum, self.o.bits, self.o.group, self.o.order)


class Package:
    def __init__(self, weight, o):
        try:
            from gptqmodel.quantization import QuantizeConfig
            from gptqmodel.quantization.gptq import GPTQ
        except ImportError:
            sys.exit(3)
        self.layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device=o.device).requires_grad_(False)
        self.layer.weight.data = weight.clone()
        self.o = o
        self.method = GPTQ(self.layer, QuantizeConfig(bits=o.bits, group_size=o.group, sym=False, desc_act=o.order,
                                                      static_groups=o.order, act_group_aware=False))
        self.method.quantizer.configure(perchannel=True)

    def add(self, x):
        self.method.add_batch(x.unsqueeze(0), None)

    def quantise(self):
        o = self.o
        self.method.hf_quantize(128, 0.01, 0.0015, o.group, o.order, o.order, act_group_aware=False)
        return self.layer.weight


def main():
    parser = argparse.ArgumentParser()
    for name, value in dict(windows=128, context=2048, bits=4, group=128, threads=2, out=4096).items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--in", dest="channels", type=int, default=4096)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--order", action="store_true")
    parser.add_argument("--package", action="store_true")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    size = 0.2 + 2 * torch.rand(o.channels)
    weight = (0.02 * torch.randn(o.out, o.channels)).to(o.device)
    inputs = [(size * torch.randn(o.context, o.channels)).to(o.device) for _ in range(4)]

    def now():
        if o.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    method = Package if o.package else Script
    with torch.no_grad(), contextlib.redirect_stdout(sys.stderr):  # the package greets
        small = method(weight[:, :256], o)  # libraries load themselves at their first call
        small.add(inputs[0][:, :256])
        small.quantise()
        start = now()
        work = method(weight, o)
        for i in range(o.windows):
            work.add(inputs[i % 4])
        summed = now()
        q = work.quantise()
        solved = now()
        d = weight - q
        error = sum((x @ d.T).square().sum() for x in inputs) / sum((x @ weight.T).square().sum() for x in inputs)
    result = dict(hessian_seconds=round(summed - start, 3), solver_seconds=round(solved - summed, 3),
                  output_error=float(error), peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    print(json.dumps(result) if o.json else "Hessian {hessian_seconds} s, solver {solver_seconds} s, output error "
          "{output_error:.6f}".format(**result))


if __name__ == "__main__":
    main()
