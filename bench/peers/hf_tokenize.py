#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peer of bench/tokenize.cpp: the same text through Hugging Face's `tokenizers` on one thread.

Prints one line of JSON: the number of tokens, and megabytes a second of the whole text in one call and of its lines,
one after the other in a batch (fewer bytes a call suit the library; the ids of lines are not quite those of the whole).
"""
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import argparse
import json
import statistics
import sys
import time

try:
    from tokenizers import Tokenizer, models, pre_tokenizers
except ImportError:
    sys.exit(3)


def load(path):
    if os.path.isdir(path) and os.path.exists(os.path.join(path, "tokenizer.json")):
        path = os.path.join(path, "tokenizer.json")
    if os.path.isfile(path):
        return Tokenizer.from_file(path)
    tokenizer = Tokenizer(models.BPE.from_file(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="as bench_tokenize; the output is JSON anyway")
    options = parser.parse_args()
    start = time.perf_counter()
    tokenizer = load(options.tokenizer)
    loaded = time.perf_counter() - start
    with open(options.text, encoding="utf-8", newline="") as file:
        text = file.read()
    lines = text.splitlines(keepends=True)
    megabytes = len(text.encode()) / 1e6

    def speed(run):
        seconds = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        return round(megabytes / statistics.median(seconds), 2)

    tokens = len(tokenizer.encode(text, add_special_tokens=False).ids)
    print(json.dumps({
        "tokens": tokens,
        "megabytes_per_second": speed(lambda: tokenizer.encode(text, add_special_tokens=False)),
        "by_lines_megabytes_per_second": speed(lambda: tokenizer.encode_batch_fast(lines, add_special_tokens=False)),
        "load_seconds": round(loaded, 3)}))


if __name__ == "__main__":
    main()
