#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads with NumPy alone what binllm has saved: the safetensors of a model folder, packed signs too, and .npy files.

usage: python_reads_it.py FILE_OR_FOLDER...
Prints a line for each tensor: name, type, shape, sum.
"""
import json
import os
import sys

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1", "BOOL": "?"}


def read_safetensors(path):
    """The tensors of a file by name, mapped rather than read: 8 bytes of length, a header in JSON, the numbers."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        data = np.memmap(path, "u1", "r", 8 + length + begin, (end - begin,)) if end > begin else np.zeros(0, "u1")
        if entry["dtype"] == "BF16":  # the upper half of a float32
            tensors[name] = (data.view("<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
        else:
            tensors[name] = data.view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def weights_of(tensors, columns_of):
    """Adds the weights that packed layers stand for: +-scale by rows, times input_scale by columns where there is one.
    Bit j % 8 of byte j / 8 of a row is the sign of column j, 1 for +1."""
    for layer in [name.removesuffix("signs") for name in tensors if name.endswith(".signs")]:
        bits = np.unpackbits(tensors[layer + "signs"], axis=1, bitorder="little")[:, : columns_of(layer)]
        weight = (2.0 * bits - 1) * np.asarray(tensors[layer + "scale"])[:, None]
        tensors[layer + "weight"] = weight * tensors.get(layer + "input_scale", 1)
    return tensors


def read(path):
    if path.endswith(".npy"):
        return {os.path.basename(path): np.load(path)}
    if not os.path.isdir(path):
        return read_safetensors(path)
    with open(os.path.join(path, "config.json")) as file:
        config = json.load(file)
    hidden, heads = config["hidden_size"], config["num_attention_heads"]

    def columns_of(layer):  # of a Llama
        if layer.endswith("o_proj."):
            return heads * config.get("head_dim", hidden // heads)
        return config["intermediate_size"] if layer.endswith("down_proj.") else hidden

    return weights_of(read_safetensors(os.path.join(path, "model.safetensors")), columns_of)


for path in sys.argv[1:]:
    for name, tensor in sorted(read(path).items()):
        print(name, tensor.dtype, tensor.shape, f"{tensor.sum(dtype='f8'):.6g}")
