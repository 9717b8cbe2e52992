#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/io/folders/task_prompts.json: what lm-evaluation-harness asks a model about a few rows of each task.

usage: task_prompts.py TOKENIZER_MODEL > task_prompts.json       (lm-eval 0.4.13, sentencepiece, pyyaml)

The rows are made up here, in the form of the published data sets; "short" says the same in the form {query, choices,
gold}. Prompts come from the harness's own task files, token ids from its _encode_pair with a SentencePiece model,
without and with BOS.
"""
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import types

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
import lm_eval
import sentencepiece
import yaml
from lm_eval.api.model import TemplateLM
from lm_eval.api.task import ConfigurableTask

FILES = {
    "boolq": "super_glue/boolq/default.yaml",
    "piqa": "piqa/piqa.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "winogrande": "winogrande/default.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
}
FOUR = {"text": ["a boat", "the wind", "a red kite", "caf\u00e9"], "label": ["A", "B", "C", "D"]}
THREE = {"text": ["up", "down", "it stays where it is"], "label": ["1", "2", "3"]}
ROWS = {
    "boolq": [
        {"passage": "Lily (a girl) had a boat.", "question": "did lily have a boat", "label": 1, "idx": 0},
        {"passage": "Tom saw a dog.\nIt ran.", "question": "was there a cat", "label": 0, "idx": 1},
    ],
    "piqa": [{"goal": "keep a kite in the air", "sol1": "run into the wind", "sol2": "let go of  it", "label": 0}],
    "hellaswag": [
        {
            "ind": 4,
            "activity_label": "Flying kites",
            "ctx_a": "A girl [substeps] stands on a hill.",
            "ctx_b": "the Wind from the SEA",
            "endings": ["takes her kite.", " is [title] over.", "[header] sings  to a [dog", "eats\u00a0it. "],
            "label": "2",
        },
        {
            "ind": 9,
            "activity_label": "Home",
            "ctx_a": "How to bake [title] Heat the oven. [step] It takes time.",
            "ctx_b": "",
            "endings": ["Wait.", "Do not wait.", "Sleep.", "Go out."],
            "label": "0",
        },
    ],
    "winogrande": [
        {
            "sentence": "Tom gave Lily the ball because _ wanted to play. ",
            "option1": "Tom",
            "option2": "Lily",
            "answer": "2",
        },
        {"sentence": "_ was happy with the cake.", "option1": "The boy", "option2": "The dog", "answer": "1"},
    ],
    "arc_easy": [
        {"id": "a", "question": "What moves a sail?", "choices": FOUR, "answerKey": "B"},
        {"id": "b", "question": "Where does a ball go that is let go?", "choices": THREE, "answerKey": "2"},
    ],
    "arc_challenge": [{"id": "c", "question": "What flies? ", "choices": FOUR, "answerKey": "C"}],
    "openbookqa": [
        {"id": "d", "question_stem": "A sail is moved by", "choices": FOUR, "answerKey": "B"},
        {"id": "e", "question_stem": "On a lake you need  ", "choices": FOUR, "answerKey": "A"},
    ],
}


def short_form(task, row, gold):
    if task == "boolq":
        query, choices = f"Passage: {row['passage']}\nQuestion: {row['question']}?", ["no", "yes"]
    elif task == "piqa":
        query, choices = f"Question: {row['goal']}\n", [row["sol1"], row["sol2"]]
    elif task == "winogrande":
        before, after = row["sentence"].split("_")
        options = [before + row["option1"], before + row["option2"]]
        return {"context_options": options, "continuation": after.strip(), "gold": gold}
    elif task == "openbookqa":
        query, choices = row["question_stem"], row["choices"]["text"]
    elif task == "hellaswag":
        return None  # the short form is clean already
    else:
        query, choices = f"Question: {row['question']}", row["choices"]["text"]
    return {"query": query, "choices": choices, "gold": gold}


def config_of(file):
    """A task file of the harness, its functions loaded."""

    def function(loader, node):
        module, name = loader.construct_scalar(node).rsplit(".", 1)
        spec = importlib.util.spec_from_file_location(module, file.parent / f"{module}.py")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return getattr(loaded, name)

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", function)
    config = yaml.load(file.read_text(), Loader)
    base = config.pop("include", None)
    return {**config_of(file.parent / base), **config} if base else config


def main(tokenizer_model):
    pieces = sentencepiece.SentencePieceProcessor(model_file=tokenizer_model)
    tasks = pathlib.Path(lm_eval.__file__).parent / "tasks"
    golden = []
    for name, rows in ROWS.items():
        config = config_of(tasks / FILES[name])
        split = config.get("test_split") or config["validation_split"]
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "rows.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            for key in ("training_split", "validation_split", "dataset_name", "tag"):
                config.pop(key, None)
            config.update(dataset_path="json", dataset_kwargs={"data_files": {split: str(file)}}, test_split=split)
            task = ConfigurableTask(config={**config, "num_fewshot": 0})
            task.build_all_requests(rank=0, world_size=1)
        for index, row in enumerate(rows):
            requests = [request for request in task.instances if request.doc_id == index]
            doc = requests[0].doc
            gold = task.doc_to_text(doc) if name == "winogrande" else task.doc_to_target(doc)
            made = []
            for request, choice in zip(requests, task.doc_to_choice(doc), strict=True):
                context, continuation = request.args
                ids = {}
                for opening in ("none", "tokenizer"):
                    bos = [pieces.bos_id()] if opening == "tokenizer" else []
                    model = types.SimpleNamespace(backend="causal", tok_encode=lambda text: bos + pieces.encode(text))
                    ids[opening] = TemplateLM._encode_pair(model, context, continuation)
                made.append(
                    {"context": context, "continuation": continuation, "characters": len(choice), "tokens": ids}
                )
            golden.append(
                {
                    "task": name,
                    "row": row,
                    "short": short_form(name, row, int(gold)),
                    "gold": int(gold),
                    "choices": made,
                }
            )
    print("[")
    print(",\n".join(json.dumps(item) for item in golden))
    print("]")


if __name__ == "__main__":
    main(sys.argv[1])
