#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a tiny random GPT-NeoX and OPT, for bench/tasks.sh: what matters there is that two programs agree.

usage: tiny_models.py TOKENIZER_MODEL FOLDER        (torch, transformers); the tokenizer has at most 512 pieces
"""
import pathlib
import shutil
import sys

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, OPTConfig, OPTForCausalLM

SHAPE = dict(vocab_size=512, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=2048)
TOKENS = dict(bos_token_id=1, eos_token_id=2)


def save(model, tokenizer, folder):
    model.float().save_pretrained(folder)
    shutil.copyfile(tokenizer, folder / "tokenizer.model")


def main(tokenizer, folder):
    torch.manual_seed(1)
    neox = dict(intermediate_size=256, rotary_pct=0.25, initializer_range=0.2, tie_word_embeddings=False)
    save(GPTNeoXForCausalLM(GPTNeoXConfig(**SHAPE, **TOKENS, **neox)), tokenizer, folder / "neox")
    opt = dict(ffn_dim=256, word_embed_proj_dim=64, pad_token_id=0, init_std=0.2, dropout=0.0)
    save(OPTForCausalLM(OPTConfig(**SHAPE, **TOKENS, **opt)), tokenizer, folder / "opt")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
