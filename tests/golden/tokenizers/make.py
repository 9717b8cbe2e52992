#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the small tokenizers of this folder and the ids that Hugging Face's `tokenizers` gives with them.

Each has the normaliser, the pre-tokenizer and the settings of the tokenizer that it is named after, and merges trained
on the few sentences below. NAME.golden.json: a list of {"text": ..., "ids": [...]}, without and with added tokens.
usage: make.py [FOLDER]
"""
import json
import os
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
SENTENCES = [
    "The tokenizer cuts a text into words, and the words into pieces that it has seen before.",
    "She said that they'd come, but we're not sure; I've heard it's 12 o'clock and THEY'LL be late.",
    "In 1984 there were 31415 of them, or 2,718 by another count: 3.14159 and 0x7fff.",
    "for (int i = 0; i < 10; ++i) {\n        total += values[i];  // adds them all\n}\n",
    "Der Bär fährt über die große Brücke; l'été à Paris où l'on mange des crêpes.",
    "Привет мир, как дела сегодня вечером? Спасибо, хорошо.",
    "今天天气很好，我们去公园散步。東京の空は青いです。안녕하세요 세계",
    "مرحبا بالعالم، كيف حالك اليوم؟ नमस्ते दुनिया",
    "😀 😃 👍🏽 👩‍👩‍👧‍👦 🇫🇷 ☃️ ∑∏∫ ≤ ≥ ± € £",
    "\n\n   \n\t\tindented\r\nand a line\r\n\r\n      six blanks",
]
TEXTS = SENTENCES + [
    "", " ", "  ", "\n", "\r\n\r\n", "   x", "x   ", " \n x", "a  b   c    d",
    "don't DON'T we'LL he'S 'tis ''s '", "1 12 123 1234 12345 123456 1234567", "x12y34z ٣٤٥ Ⅷ ½ ²³",
    "e\u0301 \u00e9 A\u030a \u212b \u1e69 s\u0323\u0307 \u0958 \u1112\u1161\u11ab", "\u200b\u00a0\u2003\u3000x\u180ey\u0085z",
    "<|begin|>Hello<|end|> <|end|>\n<|end|> user <tool> x<tool>y", "naïve café\u0301 coöperate", "\ufffd \ufeffbom \x00nul \x7f",
    "https://example.org/a_b?c=d&e=f#g", "ALL CAPS AND camelCase and snake_case", "한국어 조선말 \u1100\u1161",
]


def llama3():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def qwen2():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


def smollm():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def neox():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def finish(name, tokenizer):
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    if name == "neox":  # runs of blanks, as GPT-NeoX has them
        tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(24, 1, -1)])
    else:
        tokenizer.add_tokens([AddedToken("<tool>", single_word=True, lstrip=True, rstrip=True)])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    if name == "llama3":
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|>:1 $B:1",
                                          special_tokens=[("<|begin|>", tokenizer.token_to_id("<|begin|>"))])])
    return tokenizer


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for make in (llama3, qwen2, smollm, neox):
        name = make.__name__
        tokenizer = finish(name, make())
        with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8", newline="") as file:
            file.write(tokenizer.to_str())
        golden = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in TEXTS]
        with open(os.path.join(folder, name + ".golden.json"), "w", encoding="utf-8", newline="") as file:
            json.dump({"golden": golden}, file, ensure_ascii=True)


if __name__ == "__main__":
    main()
