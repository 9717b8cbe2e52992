#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peer of bench/cross_entropy.cpp: F.cross_entropy and its backward on a block of logits, in PyTorch, compiled.

Prints one line of JSON with the fields of bench_cross_entropy: the median of several runs after two to warm up.
"""
import argparse
import json
import statistics
import time

import torch
from torch.nn import functional as F


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--json", action="store_true", help="as bench_cross_entropy; the output is JSON anyway")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    logits = torch.randn(options.rows, options.vocabulary, requires_grad=True)
    targets = torch.randint(options.vocabulary, (options.rows,))
    loss_of = F.cross_entropy if options.eager else torch.compile(F.cross_entropy)
    seconds = []
    for _ in range(options.repeats + 2):
        logits.grad = None
        start = time.perf_counter()
        loss_of(logits, targets).backward()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"rows": options.rows, "vocabulary": options.vocabulary, "threads": options.threads,
                      "ms": round(1e3 * statistics.median(seconds[2:]), 2)}))


if __name__ == "__main__":
    main()
