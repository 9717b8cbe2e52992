#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The CPU step of bench_train_step in PyTorch: torch_step.py --config 1M|4M|A|40M|B --mode fp|qat --precision P --threads N.

As fast as a current PyTorch (pip install torch) does it: compiled layers and loss, scaled_dot_product_attention, fused
AdamW; bf16 is autocast over float parameters. --eager: without the compiler. Prints one line of JSON with the fields of
bench_train_step: median step after two that warm up, in time and in time of processors, peak resident memory.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from torch.nn import functional as F

from torch_gpu_step import Llama

SETTINGS = {  # vocabulary, dim, layers, heads, kv heads, hidden, batch, context
    "1M": (2048, 128, 4, 4, 4, 352, 8, 256),
    "4M": (4096, 256, 4, 8, 8, 704, 8, 256),
    "A": (32000, 288, 6, 6, 6, 768, 8, 256),
    "40M": (16000, 512, 10, 8, 8, 1408, 4, 256),
    "B": (49152, 576, 30, 9, 3, 1536, 1, 512),
}


def loss_of_states(h, norm, table, targets):
    return F.cross_entropy(F.linear(norm(h), table).float().flatten(0, 1), targets.flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=SETTINGS, default="A")
    parser.add_argument("--mode", choices=("fp", "qat"), default="fp")
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--json", action="store_true", help="as bench_train_step; the output is JSON anyway")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    setting = SETTINGS[options.config]
    model = Llama(setting, 2.0 if options.mode == "qat" else None, torch.float32)
    ids = torch.randint(setting[0], (setting[6], setting[7]))
    targets = ids.roll(-1, 1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    loss_of = loss_of_states
    if not options.eager:  # layer by layer: one layer is compiled, and all are that one
        for layer in model.layers:
            layer.compile()
        loss_of = torch.compile(loss_of_states)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
            h = model.table(ids)
            for layer in model.layers:
                h = layer(h, model.cosine, model.sine)
            loss = loss_of(h, model.norm, model.table.weight, targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss.item()

    seconds, processor, losses = [], [], []
    for _ in range(options.steps + 2):
        start, busy = time.perf_counter(), time.process_time()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    median = statistics.median(seconds[2:])
    parameters, rate = sum(p.numel() for p in model.parameters()), ids.numel() / median
    print(json.dumps({
        "config": options.config, "mode": options.mode, "precision": options.precision,
        "compiled": not options.eager, "torch": torch.__version__, "threads": options.threads,
        "parameters": parameters, "tokens_per_second": round(rate, 1),
        "parameters_times_tokens_per_second": round(parameters * rate), "step_ms": round(1e3 * median, 1),
        "processor_ms": round(1e3 * statistics.median(processor[2:]), 1),
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "first_loss": round(losses[0], 5), "last_loss": round(losses[-1], 5)}))


if __name__ == "__main__":
    main()
