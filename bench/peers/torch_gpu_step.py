#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The GPU step of bench_train_step in PyTorch: torch_gpu_step.py --config A|B|C --mode fp|qat [--eager] [--steps K].

bf16 autocast over float parameters, fused AdamW, scaled_dot_product_attention, torch.compile unless --eager. Prints one
line of JSON with the fields of bench_train_step: median of the steps after five that warm up, peak of allocated memory.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

SETTINGS = {  # vocabulary, dim, layers, heads, kv heads, hidden, batch, context
    "A": (32000, 288, 6, 6, 6, 768, 64, 256),
    "B": (49152, 576, 30, 9, 3, 1536, 16, 2048),
    "C": (128256, 2048, 16, 32, 8, 8192, 4, 2048),
}


class Linear(nn.Linear):
    """With a sharpness W_b = S_l S_a tanh(t W / S_a) / tanh(t) takes the place of W."""

    def __init__(self, inputs, outputs, sharpness):
        super().__init__(inputs, outputs, bias=False)
        nn.init.normal_(self.weight, std=0.02)
        if sharpness is not None:
            self.scale = nn.Parameter(torch.ones(outputs, 1))
        self.register_buffer("sharpness", None if sharpness is None else torch.tensor(sharpness), persistent=False)

    def forward(self, x):
        if self.sharpness is None:
            return F.linear(x, self.weight)
        mean = self.weight.abs().mean(1, keepdim=True)
        sign = torch.tanh(self.sharpness * self.weight / mean) / torch.tanh(self.sharpness)
        return F.linear(x, self.scale * mean * sign)


class Layer(nn.Module):
    def __init__(self, dim, heads, kv_heads, hidden, sharpness):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, dim // heads
        narrow = kv_heads * self.size
        self.first_norm, self.second_norm = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.q, self.o = Linear(dim, dim, sharpness), Linear(dim, dim, sharpness)
        self.k, self.v = Linear(dim, narrow, sharpness), Linear(dim, narrow, sharpness)
        self.gate, self.up = Linear(dim, hidden, sharpness), Linear(dim, hidden, sharpness)
        self.down = Linear(hidden, dim, sharpness)

    def forward(self, h, cosine, sine):
        def split(x, heads):
            return x.unflatten(2, (heads, self.size)).transpose(1, 2)

        def rotate(x):
            low, high = x.chunk(2, dim=-1)
            return torch.cat((low * cosine - high * sine, high * cosine + low * sine), dim=-1)

        x = self.first_norm(h)
        q, k, v = split(self.q(x), self.heads), split(self.k(x), self.kv_heads), split(self.v(x), self.kv_heads)
        attended = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True,
                                                  enable_gqa=self.heads != self.kv_heads)
        h = h + self.o(attended.transpose(1, 2).flatten(2))
        x = self.second_norm(h)
        return h + self.down(F.silu(self.gate(x)) * self.up(x))


class Llama(nn.Module):
    def __init__(self, setting, sharpness, table_type):
        super().__init__()
        vocabulary, dim, layers, heads, kv_heads, hidden, _, context = setting
        self.table = nn.Embedding(vocabulary, dim)
        nn.init.normal_(self.table.weight, std=0.02)
        self.layers = nn.ModuleList(Layer(dim, heads, kv_heads, hidden, sharpness) for _ in range(layers))
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        size = dim // heads
        angle = torch.outer(torch.arange(context).float(), 10000.0 ** (torch.arange(0, size, 2).float() / -size))
        self.register_buffer("cosine", angle.cos().to(table_type), persistent=False)
        self.register_buffer("sine", angle.sin().to(table_type), persistent=False)

    def forward(self, ids, targets):
        h = self.table(ids)
        for layer in self.layers:
            h = layer(h, self.cosine, self.sine)
        logits = F.linear(self.norm(h), self.table.weight)
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def main():
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=SETTINGS, default="B")
    parser.add_argument("--mode", choices=("fp", "qat"), default="qat")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    setting = SETTINGS[options.config]
    with torch.device("cuda"):
        model = Llama(setting, 2.0 if options.mode == "qat" else None, torch.bfloat16)
        ids = torch.randint(setting[0], (setting[6], setting[7]))
    targets = ids.roll(-1, 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    loss_of = model if options.eager else torch.compile(model)

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = loss_of(ids, targets)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    first = 0
    for i in range(5):
        step()
        if i == 0:
            torch.cuda.synchronize()
            first = time.perf_counter() - began
    milliseconds = []
    for _ in range(options.steps):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        milliseconds.append(start.elapsed_time(end))
    median = statistics.median(milliseconds)
    print(json.dumps({
        "config": options.config, "mode": options.mode, "compiled": not options.eager,
        "device": torch.cuda.get_device_name(), "parameters": sum(p.numel() for p in model.parameters()),
        "tokens_per_second": round(ids.numel() / median * 1e3), "step_ms": round(median, 3),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 3), "first_step_seconds": round(first, 2)}))


if __name__ == "__main__":
    main()
