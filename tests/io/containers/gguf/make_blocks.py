#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes blocks.gguf: random blocks of each type, and beside each tensor X what the package gguf (0.19.0) makes of it,
"X.expected" in F32. The package does not decode Q1_0: there the definition stands here.
usage: make_blocks.py blocks.gguf"""
import sys

import gguf
import numpy as np

random = np.random.default_rng(7)
types = "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q4_K Q5_K Q6_K Q1_0".split()
halves = {"Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2]}  # where a block's scales stand

writer = gguf.GGUFWriter(sys.argv[1], "blocks")
writer.add_string("text", "a blank, an \u00e9, a \U0001f600")
writer.add_array("names", ["one", "", "three"])
writer.add_array("numbers", [1, -2, 3])
writer.add_bool("yes", True)
writer.add_float64("wide", 0.1)
writer.add_uint64("large", 2**63 + 1)
for name in types:
    kind = gguf.GGMLQuantizationType[name]
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    rows, columns = 2, 256
    if numbers == 1:
        floats = random.standard_normal((rows, 8)).astype(np.float32)
        stored = floats if name == "F32" else gguf.quantize(floats, kind)
    else:
        stored = random.integers(0, 256, (rows, columns // numbers, size), dtype=np.uint8)
        for at in halves.get(name, [0]):
            scales = (random.standard_normal(stored.shape[:2]) * 0.1).astype(np.float16)
            stored[:, :, at : at + 2] = scales[..., None].view(np.uint8)
        stored = stored.reshape(rows, -1)
    if name == "Q1_0":
        blocks = stored.reshape(-1, size)
        scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
        signs = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little").astype(np.float32) * 2 - 1
        expected = (scale * signs).reshape(rows, columns)
    else:
        expected = gguf.dequantize(stored, kind)
    writer.add_tensor(name, stored, raw_dtype=kind)
    writer.add_tensor(name + ".expected", np.ascontiguousarray(expected, dtype=np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
