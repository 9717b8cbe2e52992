# SPDX-License-Identifier: MIT
"""One linear layer that a method trains for ten steps, in double: what the scripts of training-time methods share.

Weights, inputs and targets are functions of a name and an index, which tests/methods/trained_layer.hpp computes too:
W (out, in) in [-3/2, 3/2), x (6, in) in [-1, 1), targets (6, out) in [-1/2, 1/2). The loss is sum (x W_b^T - y)^2, the
optimiser AdamW with rate 0.02, betas 0.9 and 0.95, epsilon 1e-8, and decay 0.1 where the method decays a parameter.
NAME.txt holds, line by line,
    start.PARAMETER X...      what the method starts from
    wb X...                   W_b of the first step
    d.PARAMETER X...          gradients of the first step
    losses X...               of the ten steps
    end.PARAMETER X...        after them
"""
import pathlib

import numpy
import torch
from hashed import numbers

STEPS = 10


def values(name, *shape):
    return torch.from_numpy(numbers(name, int(numpy.prod(shape))).reshape(shape))


def weight(rows=4, cols=12):
    return 1.5 * values("weight", rows, cols)


class Sign(torch.autograd.Function):
    """sgn with sgn(0) = +1; `slope(x)` stands for its derivative."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * ctx.slope(x), None


def sign(x):
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def identity(x):
    return torch.ones_like(x)


def ede(t):
    """k t (1 - tanh^2(t x)), k = max(1/t, 1)."""
    k = max(1 / t, 1)
    return lambda x: k * t * (1 - torch.tanh(t * x) ** 2)


def lines_of(prefix, tensors):
    return [" ".join([prefix + name, *(f"{x:.17g}" for x in tensor.detach().flatten().tolist())])
            for name, tensor in tensors.items()]


def write(script, effective, parameters, *, decays=("weight",), decay=0.1, rates=None, t=lambda share: 0.0,
          after_update=lambda parameters, t: None, freeze=lambda parameters: None):
    """`effective(parameters, t)` is W_b; `decay` is that of the parameters that decay; `parameters` by name; t of the share of the steps that are done."""
    rates = rates or {}
    parameters = {name: p.clone().requires_grad_(True) for name, p in parameters.items()}
    rows, cols = parameters["weight"].shape
    x, y = values("inputs", 6, cols), values("targets", 6, rows) / 2
    optimiser = torch.optim.AdamW([dict(params=[p], lr=0.02 * rates.get(name, 1),
                                        weight_decay=decay if name in decays else 0.0)
                                   for name, p in parameters.items()], betas=(0.9, 0.95), eps=1e-8)
    lines, losses = lines_of("start.", parameters), []
    for step in range(STEPS):
        now = t(step / STEPS)
        optimiser.zero_grad()
        wb = effective(parameters, now)
        loss = ((x @ wb.T - y) ** 2).sum()
        loss.backward()
        losses.append(loss)
        if step == 0:
            lines += lines_of("", {"wb": wb}) + lines_of("d.", {name: p.grad for name, p in parameters.items()})
        optimiser.step()
        with torch.no_grad():
            after_update(parameters, now)
    lines += lines_of("", {"losses": torch.stack(losses)}) + lines_of("end.", parameters)
    pathlib.Path(script).with_suffix(".txt").write_text("\n".join(lines) + "\n")
