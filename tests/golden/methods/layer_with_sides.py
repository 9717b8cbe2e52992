# SPDX-License-Identifier: MIT
"""One linear layer of a method that does more than multiply, forward, backward and ten steps of AdamW, in double: what
the scripts of methods with sides share beside trained_layer.py.

A script of a method gives `write` its start, its forward pass and which parameters decay. NAME.txt then holds, line by
line (values row by row, %.17g):
    dense FACTOR      the dense weight (out, in) is FACTOR hashed("dense")
    t X...            the number of each step
    start.P X...      parameter P as it starts from the dense weight
    y X...            the layer's output for x = 2 hashed("x"), at the first t
    dx X...           the gradient of the loss  1/2 sum (y - hashed("wanted"))^2  for x, and
    gradient.P X...   for parameter P
    losses X...       of the ten steps
    trained.P X...    parameter P after them
"""
import pathlib
import sys

import torch

from trained_layer import STEPS, Sign, lines_of, values

TOKENS, OUT, IN = 4, 5, 20
torch.set_default_dtype(torch.float64)
RATE, BETAS, EPSILON, DECAY = 0.02, (0.9, 0.95), 1e-8, 0.1


def hashed(name, *shape):
    return values(name, *shape) / 2


def straight_through(x, rounded):
    """`rounded` forward, the identity backward."""
    return x + (rounded - x).detach()


def sign(x):
    """sgn with sgn(0) = +1."""
    return torch.where(x >= 0, 1.0, -1.0).to(x)


def eight_bits(x):
    """Eight bits a token, as BitNet's authors publish them."""
    s = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return (x * s).round().clamp(-128, 127) / s


def standardised(x, epsilon=1e-5):
    return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=epsilon)


def outer_product(w):
    """The singular value and vectors of the nearest outer product to |w|."""
    u, s, v = torch.linalg.svd(w.abs(), full_matrices=False)
    return s[0], u[:, 0].abs(), v[0].abs()


def write(name, start, forward, decaying, factor=1.0, t=None):
    t = t or [1.0] * STEPS
    line = lambda key, numbers: lines_of("", {key: torch.as_tensor(numbers)})[0]
    p = {key: value.clone().requires_grad_() for key, value in start(factor * hashed("dense", OUT, IN)).items()}
    lines = [line("dense", [factor]), line("t", t)] + [line(f"start.{key}", value) for key, value in p.items()]
    x = (2 * hashed("x", TOKENS, IN)).requires_grad_()
    wanted = hashed("wanted", TOKENS, OUT)
    groups = [{"params": [v for k, v in p.items() if (k in decaying) == decays], "weight_decay": DECAY * decays}
              for decays in (True, False)]
    adamw = torch.optim.AdamW([g for g in groups if g["params"]], lr=RATE, betas=BETAS, eps=EPSILON)
    losses = []
    for step in range(STEPS):
        adamw.zero_grad()
        y = forward(p, x, t[step])
        loss = 0.5 * ((y - wanted) ** 2).sum()
        loss.backward()
        if step == 0:
            lines += [line("y", y), line("dx", x.grad)] + [line(f"gradient.{k}", v.grad) for k, v in p.items()]
        adamw.step()
        losses.append(loss.item())
    lines += [line("losses", losses)] + [line(f"trained.{key}", value) for key, value in p.items()]
    (pathlib.Path(sys.argv[0]).resolve().parent / f"{name}.txt").write_text("\n".join(lines) + "\n")
