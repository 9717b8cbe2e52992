#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loads a model folder or a GGUF file with transformers, in float, with its tokenizer, and computes 16 tokens once.

Prints seconds of wall clock after the imports, and the peak memory of the process. Needs torch and transformers, for
GGUF files also gguf and accelerate.
usage: hf_load.py MODEL
"""
import os
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

path = sys.argv[1]
folder, file = os.path.split(path) if path.endswith(".gguf") else (path, None)
start = time.time()
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
AutoTokenizer.from_pretrained(folder, gguf_file=file)
model(torch.ones((1, 16), dtype=torch.long))
seconds = time.time() - start
print(f"{seconds:.2f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
