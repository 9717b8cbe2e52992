#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peer of `binllm evaluate --tasks`: lm-evaluation-harness with PyTorch on the CPU, in float32.

usage: lm_eval_tasks.py MODEL --tasks-data DIR [--tasks boolq,piqa] [--items 200] [--bos none|tokenizer]
                        [--batch-size 1] [--threads 2] [--out items.jsonl]
       lm_eval_tasks.py --compare OURS.jsonl THEIRS.jsonl [--tolerance 1e-3]

Needs lm-eval (0.4.2 and 0.4.13 have been tried), torch, transformers; without them it says so and exits with 3. Nothing
is downloaded: MODEL is a folder or a GGUF file, the tasks are defined here on local files of rows {query, choices,
gold}, with the harness's prompts, and its own code splits, scores and aggregates. A folder with a `tokenizer.model`
alone is tokenised by SentencePiece itself, with BOS: transformers 5 converts such files, and does not take over that a
model drops repeated blanks.

Prints a line of JSON for each task: items, acc, acc_norm, their standard errors, seconds (of scoring, tokenising
included), and those that its threads were at work. --out writes a line an item as binllm does. --compare lists the
items whose choice differs or whose log-probabilities differ by more than the tolerance, and a table; exits with 1 where
there are any.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import sys
import time

MISSING = 3
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
TASKS = {  # file, the context of a row
    "boolq": ("boolq.jsonl", lambda row: row["query"].removeprefix("Passage: ") + "\nAnswer:"),
    "piqa": ("piqa.jsonl", lambda row: row["query"].removesuffix("\n") + "\nAnswer:"),
    "hellaswag": ("hellaswag_val.jsonl", lambda row: row["query"]),
    "winogrande": ("winogrande.jsonl", None),  # contexts are the choices
    "arc_easy": ("arc_easy.jsonl", lambda row: row["query"] + "\nAnswer:"),
    "arc_challenge": ("arc_challenge.jsonl", lambda row: row["query"] + "\nAnswer:"),
    "openbookqa": ("openbook_qa.jsonl", lambda row: row["query"]),
}


def harness():
    """The harness's modules; its metrics that want files of a hub are not needed."""
    try:
        import evaluate

        evaluate.load = lambda *_, **__: None
        import torch
        from lm_eval import evaluator
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        print(f"lm_eval_tasks.py: no {error.name}: pip install lm-eval torch transformers", file=sys.stderr)
        sys.exit(MISSING)
    return torch, evaluator, ConfigurableTask, HFLM


def task_of(ConfigurableTask, name, folder):
    file, context = TASKS[name]
    partial = context is None
    return ConfigurableTask(
        config={
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / file)}},
            "output_type": "multiple_choice",
            "test_split": "test",
            "num_fewshot": 0,
            "doc_to_text": (lambda row: row["gold"]) if partial else context,
            "doc_to_target": (lambda row: row["continuation"]) if partial else (lambda row: row["gold"]),
            "doc_to_choice": lambda row: row["context_options" if partial else "choices"],
            "metric_list": [
                {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
            ],
            "metadata": {"version": 1.0},
        }
    )


def tokenizer_of(folder):
    from transformers import AutoTokenizer, LlamaTokenizer

    if folder.suffix == ".gguf":
        return AutoTokenizer.from_pretrained(folder.parent, gguf_file=folder.name)
    file = folder / "tokenizer.model"
    if not file.exists() or (folder / "tokenizer.json").exists():
        return AutoTokenizer.from_pretrained(folder)
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
    tokenizer = LlamaTokenizer.from_pretrained(folder, add_bos_token=True)

    def encode(text, add_special_tokens=True, **_):
        return [pieces.bos_id()] * bool(add_special_tokens) + pieces.encode(text)

    tokenizer.encode = encode
    return tokenizer


def run(options):
    torch, evaluator, ConfigurableTask, HFLM = harness()
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(options.threads)
    version = importlib.metadata.version("lm_eval")
    folder, in_gguf = options.model, {}
    if folder.suffix == ".gguf":  # transformers makes float weights of it, and needs the package gguf
        folder, in_gguf = folder.parent, {"gguf_file": folder.name}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **in_gguf)
    positions = model.config.max_position_embeddings
    opening = {} if options.bos == "tokenizer" else {"add_bos_token": False}
    # 0.4.2 adds BOS only where it is asked to; whether the tokenizer has one is known to later versions alone
    if options.bos == "tokenizer" and version == "0.4.2":
        opening = {"add_bos_token": True}
    lm = HFLM(
        pretrained=model,
        tokenizer=tokenizer_of(options.model),
        batch_size=options.batch_size,
        max_length=min(2048, positions),
        device="cpu",
        **opening,
    )
    lines = open(options.out, "w") if options.out else None
    for name in options.tasks:
        task = task_of(ConfigurableTask, name, options.tasks_data)
        task.build_all_requests(limit=options.items, rank=0, world_size=1)
        seconds, processor = [0.0], [0.0]
        score = lm.loglikelihood

        def timed(requests, **keywords):
            start, processor_start = time.monotonic(), time.process_time()
            result = score(requests, **keywords)
            seconds[0] += time.monotonic() - start
            processor[0] += time.process_time() - processor_start
            return result

        lm.loglikelihood = timed
        with torch.inference_mode():
            made = evaluator.evaluate(lm=lm, task_dict={name: task}, limit=options.items, bootstrap_iters=0)
        lm.loglikelihood = score
        result, samples = made["results"][name], sorted(made["samples"][name], key=lambda sample: sample["doc_id"])
        numbers = [result[key] for key in ("acc,none", "acc_norm,none")]
        errors = [sample_error([sample[key] for sample in samples]) for key in ("acc", "acc_norm")]
        print(
            json.dumps(
                {
                    "lm_eval": version,
                    "task": name,
                    "items": len(samples),
                    "acc": numbers[0],
                    "acc_stderr": errors[0],
                    "acc_norm": numbers[1],
                    "acc_norm_stderr": errors[1],
                    "batch_size": options.batch_size,
                    "threads": options.threads,
                    "seconds": seconds[0],
                    "processor_seconds": processor[0],
                }
            ),
            flush=True,
        )
        if lines:
            for sample in samples:
                lines.write(json.dumps(item_of(name, sample)) + "\n")
    if lines:
        lines.close()


def sample_error(values):
    from lm_eval.api.metrics import mean_stderr

    return mean_stderr(values) if len(values) > 1 else None


def item_of(name, sample):
    row = sample["doc"]
    values = [response[0] for response in sample["filtered_resps"]]
    lengths = [len(choice) for choice in row["context_options" if name == "winogrande" else "choices"]]
    by_character = [value / length for value, length in zip(values, lengths)]
    return {
        "task": name,
        "item": sample["doc_id"],
        "gold": row["gold"],
        "choice": values.index(max(values)),
        "choice_norm": by_character.index(max(by_character)),
        "log_probabilities": values,
    }


def compare(ours, theirs, tolerance):
    read = lambda path: {(item["task"], item["item"]): item for item in map(json.loads, open(path))}
    ours, theirs = read(ours), read(theirs)
    assert ours.keys() == theirs.keys(), "other items"
    different = 0
    table = {}
    for key, a in ours.items():
        b = theirs[key]
        largest = max(abs(x - y) for x, y in zip(a["log_probabilities"], b["log_probabilities"], strict=True))
        choices = sum(a[choice] != b[choice] for choice in ("choice", "choice_norm"))
        row = table.setdefault(key[0], [0, 0, 0.0])
        row[0] += 1
        row[1] += choices
        row[2] = max(row[2], largest)
        if choices or largest > tolerance or a["gold"] != b["gold"]:
            different += 1
            print("differs:", json.dumps(a), json.dumps(b))
    print("| task | items | other choices | largest difference of a log-probability |\n| --- | ---: | ---: | ---: |")
    for name, (items, choices, largest) in table.items():
        print(f"| {name} | {items} | {choices} | {largest:.1e} |")
    return 1 if different else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=pathlib.Path)
    parser.add_argument("--tasks-data", type=pathlib.Path)
    parser.add_argument("--tasks", default="all")
    parser.add_argument("--items", type=int)
    parser.add_argument("--bos", choices=("none", "tokenizer"), default="none")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    parser.add_argument("--compare", nargs=2, metavar=("OURS", "THEIRS"))
    parser.add_argument("--tolerance", type=float, default=1e-3)
    options = parser.parse_args()
    if options.compare:
        sys.exit(compare(*options.compare, options.tolerance))
    if not options.model or not options.tasks_data:
        parser.error("MODEL and --tasks-data are required")
    options.tasks = list(TASKS) if options.tasks == "all" else options.tasks.split(",")
    run(options)


if __name__ == "__main__":
    main()
