#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peer of bench/decode.cpp: random Llamas of its shapes in llama.cpp, called as a library.

Needs the packages llama-cpp-python (built for this machine) and gguf; without them it says so and exits with 3.
Prints one line of JSON with the fields of bench_decode: medians over the rounds after one to warm up.

A row of weights is a whole number of blocks of the type, which 576 (135M) is not for the types of 128 or 256 weights a
block. There two widths around it are run and their seconds and bytes interpolated. Their operations make those of 576
within 0.1 % (128) and 1.5 % (256); the times of Q4_0, which fits 576, come out 3 to 7 % too long that way.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

MISSING = 3
# Python looks for a program's imports beside it first, where llama_cpp is this very file.
sys.path = [folder for folder in sys.path if pathlib.Path(folder).resolve() != pathlib.Path(__file__).resolve().parent]
try:
    import gguf
    import llama_cpp
    import numpy
except ImportError as error:
    print(f"llama_cpp.py: no {error.name}: pip install llama-cpp-python gguf", file=sys.stderr)
    sys.exit(MISSING)

TYPES = ("Q1_0", "TQ1_0", "TQ2_0", "Q2_K", "Q4_0")
SHAPES = {  # vocabulary, hidden, intermediate, layers, heads, kv heads, tied
    "135M": (49152, 576, 1536, 30, 9, 3, True),
    "1B": (128256, 2048, 8192, 16, 32, 8, True),
    "7B": (32000, 4096, 11008, 32, 32, 32, False),
}
# By weights of a block, what stands for 135M: (hidden, heads, kv heads, share). The shares make 576, 9 and 3 of them.
NEIGHBOURS = {128: ((512, 8, 4, 0.5), (640, 10, 2, 0.5)), 256: ((512, 8, 2, 0.75), (768, 12, 6, 0.25))}
# Where in a block its 16-bit scales stand.
SCALES = {"Q1_0": slice(0, 2), "TQ1_0": slice(-2, None), "TQ2_0": slice(-2, None), "Q2_K": slice(-4, None),
          "Q4_0": slice(0, 2), "Q8_0": slice(0, 2)}


def type_named(name):
    kind = getattr(gguf.GGMLQuantizationType, name, None)
    if kind is None:
        print(f"llama_cpp.py: this gguf does not know {name}", file=sys.stderr)
        sys.exit(MISSING)
    return kind


def shapes_of(name, kind):
    """The shapes to run and the share of each."""
    block = gguf.GGML_QUANT_SIZES[kind][0]
    shape = SHAPES[name]
    if shape[1] % block == 0:
        return [(shape, 1.0)]
    vocabulary, _, intermediate, layers, _, _, tied = shape
    return [((vocabulary, hidden, intermediate, layers, heads, kv_heads, tied), share)
            for hidden, heads, kv_heads, share in NEIGHBOURS[block]]


class File:
    """A GGUF file of a random model. The layers share their values, not their bytes in the file."""

    def __init__(self, path, shape, kind, head):
        vocabulary, hidden, intermediate, layers, heads, kv_heads, tied = shape
        self.writer, self.random, self.drawn = gguf.GGUFWriter(path, "llama"), numpy.random.default_rng(0), {}
        self.bytes = {"linear": 0, "vocabulary": 0}
        self.describe(shape)
        narrow = hidden // heads * kv_heads
        linear = {"attn_q": (hidden, hidden), "attn_k": (narrow, hidden), "attn_v": (narrow, hidden),
                  "attn_output": (hidden, hidden), "ffn_gate": (intermediate, hidden), "ffn_up": (intermediate, hidden),
                  "ffn_down": (hidden, intermediate)}
        self.add("token_embd", vocabulary, hidden, head, "vocabulary")
        if not tied:
            self.add("output", vocabulary, hidden, head, "vocabulary")
        ones = numpy.ones(hidden, numpy.float32)
        self.writer.add_tensor("output_norm.weight", ones)
        for layer in range(layers):
            for norm in ("attn_norm", "ffn_norm"):
                self.writer.add_tensor(f"blk.{layer}.{norm}.weight", ones)
            for name, (rows, columns) in linear.items():
                self.add(f"blk.{layer}.{name}", rows, columns, kind, "linear")
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()

    def describe(self, shape):
        vocabulary, hidden, intermediate, layers, heads, kv_heads, _ = shape
        writer = self.writer
        writer.add_tokenizer_model("no_vocab")  # token ids are all that is needed
        writer.add_vocab_size(vocabulary)
        writer.add_context_length(2048)
        writer.add_embedding_length(hidden)
        writer.add_feed_forward_length(intermediate)
        writer.add_block_count(layers)
        writer.add_head_count(heads)
        writer.add_head_count_kv(kv_heads)
        writer.add_rope_dimension_count(hidden // heads)
        writer.add_layer_norm_rms_eps(1e-5)

    def add(self, name, rows, columns, kind, part):
        values = self.values(rows, columns, kind)
        self.bytes[part] += values.nbytes
        self.writer.add_tensor(name + ".weight", values, raw_dtype=kind)

    def values(self, rows, columns, kind):
        if (rows, columns, kind) not in self.drawn:
            self.drawn[rows, columns, kind] = self.draw(rows, columns, kind)
        return self.drawn[rows, columns, kind]

    def draw(self, rows, columns, kind):
        if kind == gguf.GGMLQuantizationType.F16:
            return (self.random.random((rows, columns), numpy.float32) * 0.1 - 0.05).astype(numpy.float16)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = self.random.integers(0, 256, (rows, columns // block, size), numpy.uint8)
        scale = numpy.float16(0.05 / 127 if kind.name == "Q8_0" else columns ** -0.5)
        scales = blocks[..., SCALES[kind.name]]
        scales[...] = numpy.tile(scale.reshape(1).view(numpy.uint8), scales.shape[-1] // 2)
        return blocks.reshape(rows, -1)


class Decoder:
    """A model and its context, through the C interface; everything not named here is llama.cpp's default."""

    def __init__(self, path, options):
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = not options.plain
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            sys.exit(f"llama_cpp.py: llama.cpp does not load {path.name}")
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch = options.prompt + options.tokens, options.prompt
        params.n_ubatch, params.n_threads, params.n_threads_batch = options.prompt, options.threads, options.threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit("llama_cpp.py: llama.cpp makes no context")

    def restart(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), False)

    def seconds(self, ids):
        """Reads the ids in one batch up to the logits of the last."""
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        start = time.perf_counter()
        failed = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(tokens, len(ids)))
        llama_cpp.llama_get_logits_ith(self.context, -1)
        stop = time.perf_counter()
        if failed:
            sys.exit(f"llama_cpp.py: llama_decode gave {failed}")
        return stop - start

    def free(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def measure(decoder, options):
    """Seconds of the prompt and of a token."""
    prefill, decode = [], []
    for _ in range(options.rounds + 1):
        decoder.restart()
        prefill.append(decoder.seconds([i * 37 % 1000 for i in range(options.prompt)]))
        decode.append(statistics.median(decoder.seconds([i * 53 % 1000]) for i in range(options.tokens)))
    return statistics.median(prefill[1:]), statistics.median(decode[1:])


def run(shape, options, folder):
    """Seconds of the prompt and of a token; bytes of the linear layers, the vocabulary and the cache (in f16)."""
    path = pathlib.Path(folder) / "model.gguf"
    file = File(path, shape, type_named(options.type), type_named(options.head.upper()))
    decoder = Decoder(path, options)
    times = measure(decoder, options)
    decoder.free()
    _, hidden, _, layers, heads, kv_heads, _ = shape
    cache = 2 * 2 * layers * (options.prompt + options.tokens) * (hidden // heads * kv_heads)
    return numpy.array([*times, file.bytes["linear"], file.bytes["vocabulary"], cache])


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="135M")
    parser.add_argument("--type", choices=TYPES, default="Q1_0", help="of the linear layers")
    parser.add_argument("--head", choices=("f16", "q8_0"), default="f16", help="of the embedding and the head")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--prompt", type=positive, default=128)
    parser.add_argument("--tokens", type=positive, default=32)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--plain", action="store_true",
                        help="weights as they lie in the file: for processors where AMX with Q4_0 crashes")
    parser.add_argument("--verbose", action="store_true", help="what llama.cpp says, to the standard error output")
    parser.add_argument("--json", action="store_true", help="as bench_decode; the output is JSON anyway")
    options = parser.parse_args()
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    if not options.verbose:
        llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()
    shapes, total = shapes_of(options.shape, type_named(options.type)), 0
    for shape, share in shapes:
        with tempfile.TemporaryDirectory() as folder:
            total = total + share * run(shape, options, folder)
    prefill, decode, linear, vocabulary, cache = map(float, total)
    print(json.dumps({
        "shape": options.shape, "threads": options.threads, "type": options.type, "head": options.head,
        "widths": [shape[1] for shape, _ in shapes], "peer": "llama-cpp-python " + llama_cpp.__version__,
        "prompt": options.prompt, "tokens": options.tokens,
        "prefill_tokens_per_second": round(options.prompt / prefill, 1),
        "decode_tokens_per_second": round(1 / decode, 2), "decode_microseconds": round(1e6 * decode, 1),
        "linear_bytes": round(linear), "vocabulary_bytes": round(vocabulary), "cache_bytes": round(cache),
        "bytes": round(linear + vocabulary + cache)}))


if __name__ == "__main__":
    main()
