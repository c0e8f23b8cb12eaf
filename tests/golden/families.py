#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes families.jsonl: what transformers reads from the files of families.json, and what it makes of
small models with those files.

    pip install torch transformers
    python3 families.py FOLDER     (FOLDER: what test_families wrote with --write FOLDER)

families.json has the files of published models: the keys and values that they carry, the prefix of
their tensors and how they call those of a norm. One line per model here: {"model", "config", "rows":
[{"ids", "vector"}]}. FOLDER/true has the files as they are, FOLDER/small the same with fewer and
narrower layers and random weights, whose bytes are the same on every machine.
"""
import json
import pathlib
import sys

import torch
import transformers

HERE = pathlib.Path(__file__).parent
TEXTS = [[101, 102], [101, 7, 8, 9, 102], [101] + list(range(110, 150)) + [102]]
MODES = {"mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}


def read(folder, name, missing):
    path = folder / name
    return json.loads(path.read_text()) if path.exists() else missing


def pooling(folder):
    modes = read(folder, "1_Pooling/config.json", {"pooling_mode_mean_tokens": True})
    return next(name for key, name in MODES.items() if modes.get("pooling_mode_" + key))


def normalises(folder):
    modules = read(folder, "modules.json", [{"type": "Normalize"}])
    return any(module["type"].endswith("Normalize") for module in modules)


def config(folder):
    values = transformers.AutoConfig.from_pretrained(folder)
    longest = min(values.max_position_embeddings,
                  read(folder, "sentence_bert_config.json", {}).get("max_seq_length", 1 << 30),
                  read(folder, "tokenizer_config.json", {}).get("model_max_length", 1 << 30))
    return {"width": values.hidden_size, "layers": values.num_hidden_layers,
            "heads": values.num_attention_heads,
            "inner": values.hidden_dim if values.model_type == "distilbert" else values.intermediate_size,
            "vocabulary": values.vocab_size, "positions": values.max_position_embeddings,
            "types": 0 if values.model_type == "distilbert" else values.type_vocab_size,
            "longest": longest, "pooling": pooling(folder), "normalise": normalises(folder)}


def vectors(folder):
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").float().eval()
    for ids in TEXTS:
        rows = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        vector = {"mean": rows.mean(dim=0), "cls": rows[0], "max": rows.max(dim=0).values}[pooling(folder)]
        if normalises(folder):
            vector = vector / vector.norm()
        yield {"ids": ids, "vector": [float(f"{x:.8g}") for x in vector.tolist()]}


def main(folder):
    torch.set_grad_enabled(False)
    with open(HERE / "families.jsonl", "w", encoding="utf-8") as out:
        for family in json.loads((HERE / "families.json").read_text()):
            name = family["name"]
            row = {"model": name, "config": config(folder / "true" / name),
                   "rows": list(vectors(folder / "small" / name))}
            out.write(json.dumps(row) + "\n")
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
