#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes classifiers.jsonl: what transformers makes of small random models with and without a head.

    pip install torch transformers
    python3 classifiers.py FOLDER     (FOLDER: models that test_classifiers wrote with --write FOLDER)

One line per model and text: {"model", "ids", "vector", "probabilities"}, in fp32 as shortest
decimals. The models are written by model_synth, whose bytes are the same on every machine, so the
numbers hold wherever the test runs. Vectors are pooled and normalised as the model's files say.
"""
import json
import pathlib
import sys

import torch
import transformers

HERE = pathlib.Path(__file__).parent
TEXTS = [[2, 3], [2, 40, 41, 42, 3], [2] + list(range(100, 130)) + [3], [2] + [9, 300, 77] * 20 + [3]]


def pooled(folder, hidden):
    mode = json.loads((folder / "1_Pooling/config.json").read_text())
    if mode["pooling_mode_mean_tokens"]:
        return hidden.mean(dim=0)
    return hidden[0] if mode["pooling_mode_cls_token"] else hidden.max(dim=0).values


def rows(folder):
    config = json.loads((folder / "config.json").read_text())
    has_head = config["architectures"][0].endswith("ForSequenceClassification")
    kind = transformers.AutoModelForSequenceClassification if has_head else transformers.AutoModel
    model = kind.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    for ids in TEXTS:
        out = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        vector = pooled(folder, out.hidden_states[-1][0])
        probabilities = []
        if has_head:
            logits = out.logits[0]
            probabilities = (logits.softmax(0) if len(logits) > 1 else logits.sigmoid()).tolist()
        yield {"model": folder.name, "ids": ids,
               "vector": (vector / vector.norm()).tolist(), "probabilities": probabilities}


def main(models):
    torch.set_grad_enabled(False)
    with open(HERE / "classifiers.jsonl", "w", encoding="utf-8") as out:
        for folder in sorted(pathlib.Path(models).iterdir()):
            for row in rows(folder):
                row["vector"] = [float(f"{x:.8g}") for x in row["vector"]]
                row["probabilities"] = [float(f"{x:.8g}") for x in row["probabilities"]]
                out.write(json.dumps(row) + "\n")
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
