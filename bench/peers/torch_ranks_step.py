#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The QAT step of bench_ranks_step in PyTorch: torchrun --nproc-per-node N torch_ranks_step.py --config B|C --kind ddp|fsdp.

The model of torch_gpu_step.py, each layer compiled. ddp: float parameters under bf16 autocast, gradients of float. fsdp:
FSDP2 with parameters of bf16 in the layers and sums in float. Prints the fields of bench_ranks_step as one line of JSON.
"""
import argparse
import json
import os
import statistics

import torch
import torch.distributed as dist
from torch import nn
from torch_gpu_step import SETTINGS, Llama


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=SETTINGS, default="B")
    parser.add_argument("--kind", choices=("ddp", "fsdp"), default="ddp")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl")
    rank, ranks = dist.get_rank(), dist.get_world_size()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.manual_seed(0)
    setting = SETTINGS[options.config]
    with torch.device("cuda"):
        model = Llama(setting, 2.0, torch.bfloat16)
    torch.manual_seed(rank + 1)
    ids = torch.randint(setting[0], (setting[6], setting[7]), device="cuda")
    targets = ids.roll(-1, 1)
    for layer in model.layers:
        layer.compile()
    if options.kind == "ddp":
        trained = model if ranks == 1 else nn.parallel.DistributedDataParallel(
            model, device_ids=[torch.cuda.current_device()], gradient_as_bucket_view=True)
    else:
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for layer in model.layers:
            fully_shard(layer, mp_policy=policy)
        trained = fully_shard(model, mp_policy=policy)
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-4, weight_decay=0.01, fused=True)

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = trained(ids, targets)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    for _ in range(5):
        step()
    torch.cuda.synchronize()
    dist.barrier()
    milliseconds = []
    for _ in range(options.steps):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        milliseconds.append(start.elapsed_time(end))
    median = statistics.median(milliseconds)
    if rank == 0:
        print(json.dumps({
            "config": options.config, "kind": options.kind, "ranks": ranks, "batch": setting[6],
            "tokens_per_second": round(ranks * ids.numel() / median * 1e3), "step_ms": round(median, 3),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
            "device": torch.cuda.get_device_name()}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
