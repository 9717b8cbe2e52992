#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model of the shape of Llama-3.2-1B with random weights in bf16 decodes on a GPU, a step captured in a CUDA graph.

usage: python3 torch_gpu_decode.py [--seen 64] [--eager]        prints one line of JSON
The peer of `bench_cuda_packed --decode`: q, k, v in one product and gate, up in one; a static cache of 64 tokens more
than were seen, attention with a mask over all of it. Needs PyTorch with a GPU.
"""
import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

DIM, LAYERS, HEADS, KV, HEAD, HIDDEN, VOCABULARY, STEPS = 2048, 16, 32, 8, 64, 8192, 128256, 64


class Model:
    def __init__(self, capacity, device):
        def weight(rows, cols):
            return torch.randn(rows, cols, device=device, dtype=torch.bfloat16) * 0.02

        self.capacity = capacity
        self.embedding = weight(VOCABULARY, DIM)
        self.norm = torch.ones(DIM, device=device, dtype=torch.bfloat16)
        self.qkv = [weight((HEADS + 2 * KV) * HEAD, DIM) for _ in range(LAYERS)]
        self.o = [weight(DIM, HEADS * HEAD) for _ in range(LAYERS)]
        self.gate_up = [weight(2 * HIDDEN, DIM) for _ in range(LAYERS)]
        self.down = [weight(DIM, HIDDEN) for _ in range(LAYERS)]
        self.keys = torch.zeros(LAYERS, 1, KV, capacity, HEAD, device=device, dtype=torch.bfloat16)
        self.values = torch.zeros_like(self.keys)
        frequency = 10000.0 ** (-torch.arange(0, HEAD, 2, device=device).float() / HEAD)
        angles = torch.outer(torch.arange(capacity, device=device).float(), frequency)
        self.cosine, self.sine = angles.cos().bfloat16(), angles.sin().bfloat16()
        self.columns = torch.arange(capacity, device=device)

    def rotated(self, x, position):
        cosine, sine = self.cosine[position], self.sine[position]
        a, b = x[..., : HEAD // 2], x[..., HEAD // 2 :]
        return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)

    def step(self, token, position):
        """The logits after one token (1) at a position (1), both on the device."""
        x = self.embedding[token]
        mask = (self.columns <= position).view(1, 1, 1, -1)
        for i in range(LAYERS):
            qkv = F.linear(F.rms_norm(x, (DIM,), self.norm, 1e-5), self.qkv[i]).view(1, HEADS + 2 * KV, 1, HEAD)
            q, k, v = qkv.split((HEADS, KV, KV), 1)
            self.keys[i].index_copy_(2, position, self.rotated(k, position))
            self.values[i].index_copy_(2, position, v)
            y = F.scaled_dot_product_attention(
                self.rotated(q, position), self.keys[i], self.values[i], attn_mask=mask, enable_gqa=True
            )
            x = x + F.linear(y.reshape(1, HEADS * HEAD), self.o[i])
            gate, up = F.linear(F.rms_norm(x, (DIM,), self.norm, 1e-5), self.gate_up[i]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, self.down[i])
        return F.linear(F.rms_norm(x, (DIM,), self.norm, 1e-5), self.embedding).float()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seen", type=int, default=64)
    parser.add_argument("--eager", action="store_true")
    options = parser.parse_args()
    device = torch.device("cuda")
    model = Model(options.seen + STEPS, device)
    token = torch.zeros(1, dtype=torch.long, device=device)
    position = torch.full((1,), options.seen, dtype=torch.long, device=device)

    run = lambda: model.step(token, position)
    if not options.eager:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = run()

        def replay():
            graph.replay()
            return logits

        run = replay

    rounds = []
    for _ in range(4):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for i in range(STEPS):
            token.fill_(i)
            position.fill_(options.seen + i)
            run().cpu()  # as a sampler on the host reads them
        rounds.append((time.perf_counter() - start) / STEPS)
    seconds = statistics.median(rounds[1:])
    print(json.dumps({"seen": options.seen, "graph": not options.eager, "tokens_per_second": round(1 / seconds, 1)}))


if __name__ == "__main__":
    main()
