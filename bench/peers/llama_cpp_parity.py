#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a GGUF file in llama.cpp and in binllm: ids of a text, its loss in windows, and greedy text.

Prints one line of JSON. Needs the package llama-cpp-python; without it it says so and exits with 3. llama.cpp keeps keys
and values in F32 here. It multiplies weights of F16, BF16 and Q types with activations that are rounded too (to F16, or
to eight bits), which binllm does not: beside F32 the losses agree to that rounding.
With --check it exits with 1 unless ids and greedy text are the same and the losses differ by no more than that.
usage: llama_cpp_parity.py FILE.gguf TEXT [--program build/release/examples/binllm] [--context 256] [--windows 8]
                           [--check 1e-5]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

MISSING = 3
# Python looks for a program's imports beside it first, where llama_cpp is another script.
sys.path = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).resolve().parent]
try:
    import llama_cpp
    import numpy
except ImportError as error:
    print(f"llama_cpp_parity.py: no {error.name}: pip install llama-cpp-python", file=sys.stderr)
    sys.exit(MISSING)


def losses(model, ids, context, windows):
    """The loss of each window of `context` ids, the first id of each unscored."""
    result = []
    for first in range(0, windows * context, context):
        window = ids[first : first + context]
        model.reset()
        model.eval(window)
        logits = numpy.asarray(model.scores[: context - 1], dtype=numpy.float64)
        largest = logits.max(axis=1, keepdims=True)
        total = numpy.log(numpy.exp(logits - largest).sum(axis=1)) + largest[:, 0]
        result.append(float((total - logits[numpy.arange(context - 1), window[1:]]).mean()))
    return result


def greedy(model, ids, count):
    model.reset()
    model.eval(ids)
    text = []
    for _ in range(count):
        text.append(int(numpy.argmax(model.scores[model.n_tokens - 1])))
        model.eval([text[-1]])
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("text")
    parser.add_argument("--program", default="build/release/examples/binllm")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--prompt", default="Once upon a time")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--check", type=float)
    options = parser.parse_args()

    text = pathlib.Path(options.text).read_bytes()[: 16 * options.context * options.windows]
    text = text[: text.rindex(b" ")]
    model = llama_cpp.Llama(options.file, n_ctx=options.context, n_batch=options.context, logits_all=True, verbose=False,
                            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32)
    bos = bool(llama_cpp.llama_vocab_get_add_bos(llama_cpp.llama_model_get_vocab(model.model)))
    ids = model.tokenize(text, add_bos=bos, special=True)
    windows = min(options.windows, len(ids) // options.context)
    peer = losses(model, ids, options.context, windows)
    continued = greedy(model, model.tokenize(options.prompt.encode(), add_bos=bos, special=True), options.tokens)
    peer_text = options.prompt + model.detokenize(continued).decode(errors="replace")

    def ours(*command):
        done = subprocess.run([options.program, *command, "--model", options.file, "--json"], check=True,
                              capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[0])

    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(text)
        file.flush()
        judged = ours("evaluate", "--text", file.name, "--context", str(options.context), "--windows", str(windows))
    told = ours("generate", "--prompt", options.prompt, "--max-tokens", str(options.tokens))
    our_text = told["results"][0]["text"]
    mean = sum(peer) / windows
    print(json.dumps({"file": options.file, "windows": windows, "context": options.context,
                      "tokens": {"llama.cpp": len(ids), "binllm": judged["tokens"]},
                      "nll": {"llama.cpp": mean, "binllm": judged["nll"]}, "difference": mean - judged["nll"],
                      "same_greedy_text": peer_text == our_text,
                      "greedy": {"llama.cpp": peer_text, "binllm": our_text}}))
    agree = len(ids) == judged["tokens"] and peer_text == our_text
    if options.check is not None and not (agree and abs(mean - judged["nll"]) <= options.check):
        sys.exit(1)


if __name__ == "__main__":
    main()
