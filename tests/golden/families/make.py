#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the golden files of this folder: tiny models of each family as `transformers` computes them, in double.

    python3 tests/golden/families/make.py            (torch, transformers and safetensors from PyPI)

Weights are no file: value i of the tensor NAME is a function of NAME and i, which tests/support/family_tests.hpp
computes too. CASE.json is the config.json that transformers writes; CASE.txt holds, line by line,
    tensor NAME DIM...      of the checkpoint that transformers writes
    ids ID...               what the model reads
    loss X                  mean cross-entropy of each next token
    greedy ID...            how it goes on
    logits X...             (ids, vocabulary)
"""
import pathlib
import sys
import tempfile

import numpy
import safetensors
import safetensors.torch
import torch
from transformers import (GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM,
                          Qwen3Config, Qwen3ForCausalLM)

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "methods"))
from hashed import numbers  # noqa: E402
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
COMMON = dict(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=48,
              bos_token_id=1, eos_token_id=2, attn_implementation="eager")
GATED = dict(COMMON, intermediate_size=40, num_key_value_heads=2)
CASES = {
    "llama": (LlamaForCausalLM, LlamaConfig(**GATED, tie_word_embeddings=True)),
    "llama_head_dim_llama3": (LlamaForCausalLM, LlamaConfig(**GATED, head_dim=12, rope_parameters=LLAMA3)),
    "llama_biases": (LlamaForCausalLM, LlamaConfig(**GATED, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-5)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**GATED, head_dim=12, tie_word_embeddings=True)),
    "qwen3_biases": (Qwen3ForCausalLM, Qwen3Config(**GATED, head_dim=8, attention_bias=True)),
    "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig(**COMMON, intermediate_size=56)),
    "opt": (OPTForCausalLM, OPTConfig(**COMMON, ffn_dim=56)),
}
IDS = [1, 17, 60, 3, 3, 42, 8, 29, 5, 11]


def values(name, shape):
    """Matrices in [-1/2, 1/2), biases in [-1/4, 1/4), weights of norms in [3/4, 5/4)."""
    u = numbers(name, int(numpy.prod(shape))).reshape(shape)
    return u / 2 if len(shape) > 1 else u / 4 + (0 if name.endswith("bias") else 1)


def make(case, model_class, config):
    model = model_class(config)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        (FOLDER / f"{case}.json").write_text((pathlib.Path(folder) / "config.json").read_text())
        with safetensors.safe_open(pathlib.Path(folder) / "model.safetensors", "pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
        tensors = {name: torch.from_numpy(values(name, shape)).float() for name, shape in shapes.items()}
        safetensors.torch.save_file(tensors, pathlib.Path(folder) / "model.safetensors", {"format": "pt"})
        model = model_class.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    ids = torch.tensor([IDS])
    with torch.no_grad():
        logits = model(ids).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:])
        greedy = list(IDS)
        for _ in range(12):
            greedy.append(int(model(torch.tensor([greedy])).logits[0, -1].argmax()))
    lines = [" ".join(["tensor", name, *map(str, shape)]) for name, shape in shapes.items()]
    lines += [" ".join(["ids", *map(str, IDS)]), f"loss {loss.item():.9f}"]
    lines += [" ".join(["greedy", *map(str, greedy[len(IDS):])])]
    lines += [" ".join(["logits", *(f"{x:.6f}" for x in logits.flatten().tolist())])]
    (FOLDER / f"{case}.txt").write_text("\n".join(lines) + "\n")


torch.manual_seed(0)
for name, (model_class, config) in CASES.items():
    make(name, model_class, config)
