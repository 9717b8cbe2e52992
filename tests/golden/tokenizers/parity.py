#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares ids with Hugging Face's `tokenizers` on random strings: of a whole string, of the string in pieces of a few
bytes, and of the tokenizer.json that binllm writes.

usage: parity.py BENCH_TOKENIZE [--strings 10000] [--seed 1] PATH...
  BENCH_TOKENIZE   the program bench_tokenize
  PATH             a tokenizer.json, or a folder with vocab.json and merges.txt of GPT-2
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

BLANKS = " \t\n\r\v\f\u0085\u00a0\u1680\u180e\u2003\u2009\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇫🇷", "☃️", "🏳️‍🌈", "\U0001fae8", "\u200d", "\ufe0f"]
MARKS = [chr(c) for c in [*range(0x300, 0x370), 0x591, 0x64b, 0x93c, 0x94d, 0x9be, 0xe31, 0x302a, 0x3099, 0x309a, 0x1d165]]
WORDS = ("the of Hello WORLD don't DON'T they'll We'RE I'm it's o'clock 's 'S 'LL 'ſ K'K ’s naïve über Straße été ﬁ ß İ ı "
         "привет мир 今天 天气 東京 です 안녕 세계 مرحبا नमस्ते สวัสดี snake_case camelCase x=y; (a+b)*c // ... --- "
         "http://a.b/c?d=e <div> \\n {} [] ;` \u212b \u2126 \u212a \u037e \u1fef \u0958 \ufb1d").split(" ")
NUMBERS = ["0", "7", "12", "123", "1234567", "3.14", "1,000", "٣", "४२", "Ⅷ", "½", "²", "①", "\U0001d7d8", "\U00010d45"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def character(rng, limit):
    while True:
        code = rng.randrange(limit)
        if not 0xD800 <= code < 0xE000:
            return chr(code)


def random_text(rng, added):
    kinds = [
        lambda: rng.choice(WORDS), lambda: rng.choice(WORDS), lambda: " " + rng.choice(WORDS), lambda: " ",
        lambda: "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 9))),
        lambda: rng.choice(BLANKS) * rng.choice((1, 1, 2, 3, 7, 25)),
        lambda: "".join(rng.choice(BLANKS) for _ in range(rng.randrange(1, 5))),
        lambda: rng.choice(("\r\n", "\n", "\r", "\n\n", " \n", "\n ", "\r\n\r\n", "\n\t")),
        lambda: rng.choice(NUMBERS), lambda: rng.choice(EMOJI),
        lambda: rng.choice("eaoAOnuc가한\u1100\u1161か") + "".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 4))),
        lambda: rng.choice(MARKS), lambda: chr(rng.randrange(0x21, 0x7f)), lambda: chr(rng.randrange(0x80)),
        lambda: character(rng, 0x800), lambda: character(rng, 0x10000), lambda: character(rng, 0x110000),
        lambda: rng.choice(added) if added else "", lambda: (rng.choice(added) if added else "x")[:-1],
    ]
    return "".join(rng.choice(kinds)() for _ in range(rng.randrange(1, 40)))


def peer_of(path):
    if os.path.isfile(path):
        return Tokenizer.from_file(path)
    tokenizer = Tokenizer(models.BPE.from_file(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def ids_of(program, path, file, *more):
    lines = subprocess.run([program, "--tokenizer", path, "--text", file, "--documents", *more], check=True,
                           capture_output=True, text=True).stdout.split("\n")
    ids = [[int(word) for word in line.split()] for line in lines[:-1]]
    return ids[0::2], ids[1::2]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--strings", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("paths", nargs="+")
    options = parser.parse_args()
    failures = 0
    for path in options.paths:
        peer = peer_of(path)
        added = [token.content for token in peer.get_added_tokens_decoder().values()]
        rng = random.Random(options.seed)
        texts = [random_text(rng, added) for _ in range(options.strings)]
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "texts")
            with open(file, "wb") as output:
                for text in texts:
                    data = text.encode()
                    output.write(struct.pack("<I", len(data)) + data)
            whole, pieces = ids_of(options.program, path, file, "--save", folder)
            written = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
            again, _ = ids_of(options.program, folder, file)
        wanted = [encoding.ids for encoding in peer.encode_batch(texts, add_special_tokens=False)]
        rewritten = [encoding.ids for encoding in written.encode_batch(texts, add_special_tokens=False)]
        for name, found in (("whole", whole), ("in pieces", pieces), ("written, read by binllm", again),
                            ("written, read by tokenizers", rewritten)):
            wrong = [i for i in range(len(texts)) if found[i] != wanted[i]]
            failures += len(wrong)
            print(f"{path}: {name}: {len(texts) - len(wrong)} of {len(texts)} equal")
            for i in wrong[:3]:
                print("  text   ", ascii(texts[i]), "\n  wanted ", [peer.id_to_token(t) for t in wanted[i]],
                      "\n  found  ", [peer.id_to_token(t) for t in found[i]])
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
