#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A model folder of the shape of a published model, whose weights are zeros in bf16 that take no room on the disk:

    python3 bench/models/sparse_folder.py 1b FOLDER      Llama 3.2 1B, one file
    python3 bench/models/sparse_folder.py 7b FOLDER      Llama 2 7B, six shards and an index
"""
import json
import os
import struct
import sys

SHAPES = {
    "1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16,
               num_attention_heads=32, num_key_value_heads=8, tie_word_embeddings=True, shards=1),
    "7b": dict(vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
               num_attention_heads=32, num_key_value_heads=32, tie_word_embeddings=False, shards=6),
}


def tensors(c):
    width, inner = c["hidden_size"], c["intermediate_size"]
    narrow = width // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", [c["vocab_size"], width]
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        yield layer + "input_layernorm.weight", [width]
        yield layer + "post_attention_layernorm.weight", [width]
        for name, rows in (("q", width), ("k", narrow), ("v", narrow), ("o", width)):
            yield f"{layer}self_attn.{name}_proj.weight", [rows, width]
        yield layer + "mlp.gate_proj.weight", [inner, width]
        yield layer + "mlp.up_proj.weight", [inner, width]
        yield layer + "mlp.down_proj.weight", [width, inner]
    yield "model.norm.weight", [width]
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", [c["vocab_size"], width]


def write(path, part):
    header, end = {}, 0
    for name, shape in part:
        size = 2
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def main():
    shape, folder = sys.argv[1:]
    config = dict(SHAPES[shape])
    shards = config.pop("shards")
    os.makedirs(folder, exist_ok=True)
    config |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096,
               "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16"}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
    every = list(tensors(config))
    if shards == 1:
        return write(os.path.join(folder, "model.safetensors"), every)
    weight_map = {}
    for i in range(shards):
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = every[len(every) * i // shards:len(every) * (i + 1) // shards]
        write(os.path.join(folder, name), part)
        weight_map |= {tensor: name for tensor, _ in part}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file, indent=2)


main()
