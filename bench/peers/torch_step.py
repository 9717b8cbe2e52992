#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The step of bench/train_step.cpp in plain PyTorch: torch_step.py --config 1M|4M|A|40M|B --mode fp|qat --threads N --steps K.

Prints one line of JSON with the fields of bench_train_step: median step after one warm-up step, peak resident memory.
"""
import argparse
import json
import math
import resource
import statistics
import time

import torch
from torch.nn import functional as F

SETTINGS = {  # dim, layers, heads, kv heads, hidden, vocabulary, context, batch
    "1M": (128, 4, 4, 4, 352, 2048, 256, 8),
    "4M": (256, 4, 8, 8, 704, 4096, 256, 8),
    "A": (288, 6, 6, 6, 768, 32000, 256, 8),
    "40M": (512, 10, 8, 8, 1408, 16000, 256, 4),
    "B": (576, 30, 9, 3, 1536, 49152, 512, 1),
}
HARDNESS = 2.0


class Llama:
    """Plain tensors and functions: nothing here that a module would add time to."""

    def __init__(self, setting, qat):
        dim, layers, self.heads, self.kv, hidden, vocabulary, context, _ = setting
        self.size, self.qat, self.parameters = dim // self.heads, qat, []
        narrow = self.kv * self.size
        shapes = dict(q=(dim, dim), k=(narrow, dim), v=(narrow, dim), o=(dim, dim),
                      gate=(hidden, dim), up=(hidden, dim), down=(dim, hidden))
        self.table = self.normal(vocabulary, dim)
        self.blocks = [self.block(shapes, dim) for _ in range(layers)]
        self.last_norm = self.ones(dim)
        angle = torch.outer(torch.arange(context), 10000.0 ** (torch.arange(0, self.size, 2) / -self.size))
        self.cosine, self.sine = angle.cos(), angle.sin()
        self.mask = torch.full((context, context), -math.inf).triu(1)

    def kept(self, value):
        self.parameters.append(value.requires_grad_())
        return value

    def normal(self, *shape):
        return self.kept(torch.randn(shape) * 0.02)

    def ones(self, *shape):
        return self.kept(torch.ones(shape))

    def block(self, shapes, dim):
        weights = {name: self.normal(*shape) for name, shape in shapes.items()}
        scales = {name: self.ones(shape[0], 1) for name, shape in shapes.items()} if self.qat else {}
        return weights, scales, self.ones(dim), self.ones(dim)

    def loss(self, ids, targets):
        h = F.embedding(ids, self.table)
        for block in self.blocks:
            h = self.layer(h, *block)
        logits = F.linear(norm(h, self.last_norm), self.table)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def layer(self, h, weights, scales, first_norm, second_norm):
        def linear(x, name):
            w = weights[name]
            if self.qat:
                mean = w.abs().mean(1, keepdim=True)
                w = scales[name] * mean * torch.tanh(HARDNESS * w / mean) / math.tanh(HARDNESS)
            return F.linear(x, w)

        def split(x, heads):
            return x.view(*x.shape[:2], heads, self.size).transpose(1, 2)

        def repeat(x):
            return x if self.heads == self.kv else x.repeat_interleave(self.heads // self.kv, dim=1)

        x = norm(h, first_norm)
        q = self.rotate(split(linear(x, "q"), self.heads))
        k = repeat(self.rotate(split(linear(x, "k"), self.kv)))
        v = repeat(split(linear(x, "v"), self.kv))
        scores = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(self.size) + self.mask, dim=-1)
        h = h + linear((scores @ v).transpose(1, 2).flatten(2), "o")
        x = norm(h, second_norm)
        return h + linear(F.silu(linear(x, "gate")) * linear(x, "up"), "down")

    def rotate(self, x):
        low, high = x.split(self.size // 2, dim=-1)
        return torch.cat((low * self.cosine - high * self.sine, high * self.cosine + low * self.sine), dim=-1)


def norm(x, weight):
    return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=SETTINGS, default="A")
    parser.add_argument("--mode", choices=("fp", "qat"), default="fp")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="as bench_train_step; the output is JSON anyway")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    setting = SETTINGS[options.config]
    model = Llama(setting, options.mode == "qat")
    optimiser = torch.optim.AdamW(model.parameters, lr=1e-3)
    ids = torch.randint(setting[5], (setting[7], setting[6]))
    targets = ids.roll(-1, 1)
    seconds, losses = [], []
    for _ in range(options.steps + 1):
        start = time.perf_counter()
        loss = model.loss(ids, targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
    step = statistics.median(seconds[1:])
    parameters, rate = sum(p.numel() for p in model.parameters), ids.numel() / step
    print(json.dumps({
        "config": options.config, "mode": options.mode, "threads": options.threads,
        "parameters": parameters, "tokens_per_second": round(rate, 1),
        "parameters_times_tokens_per_second": round(parameters * rate),
        "step_ms": round(1e3 * step, 1), "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "first_loss": round(losses[0], 5), "last_loss": round(losses[-1], 5)}))


if __name__ == "__main__":
    main()
