#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains small heads with PyTorch's own AdamW in double precision and writes every epoch's figures:
what worker_gpu/trainer/head_trainer.c is held against.

    python3 tests/golden/head_training.py > tests/golden/head_training.json      (needs torch)

First weights and shuffles come from the counter-based generator that random.h specifies, written
here again from its definition (splitmix64)."""
import json
import math
import sys

import torch

MASK = (1 << 64) - 1


def random_at(seed, counter):
    z = (seed + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return z ^ z >> 31


def random_unit(seed, counter):
    return (random_at(seed, counter) >> 11) * 2.0**-52 - 1.0


def shuffle(seed, counter, count):
    order = list(range(count))
    for i in range(count - 1, 0, -1):
        other = random_at(seed, counter + count - 1 - i) * (i + 1) >> 64
        order[i], order[other] = order[other], order[i]
    return order


def examples(seed, count, width, labels):
    """Features that are exact in fp32: multiples of 1/64; labels that they say something about."""
    rows, classes = [], []
    for i in range(count):
        label = i % labels
        row = [round(random_unit(seed, i * width + k) * 64) / 64 for k in range(width)]
        row[label % width] += 1.25
        rows.append(row)
        classes.append(label)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(classes)


def rate_at(step, count, options):
    warm = math.floor(options["warmup"] * count)
    if step < warm:
        return options["learning_rate"] * (step + 1) / warm
    gone = (step - warm) / (count - warm)
    return options["learning_rate"] * {
        "cosine": 0.5 * (1 + math.cos(math.pi * gone)), "linear": 1 - gone, "constant": 1.0
    }[options["schedule"]]


def train(name, width, labels, counts, options):
    train_x, train_y = examples(1000, counts[0], width, labels)
    valid_x, valid_y = examples(2000, counts[1], width, labels)
    seed_initial, seed_shuffle = (random_at(options["seed"], i) for i in (0, 1))
    scale = 1 / math.sqrt(width)
    weight = torch.tensor([[scale * random_unit(seed_initial, label * width + k) for k in range(width)]
                           for label in range(labels)], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(labels, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.AdamW([{"params": [weight], "weight_decay": options["weight_decay"]},
                              {"params": [bias], "weight_decay": 0.0}],
                             lr=options["learning_rate"], betas=(0.9, 0.999), eps=1e-8)
    batches = math.ceil(counts[0] / options["batch_size"])
    count, step, counter, best = batches * options["epochs"], 0, 0, None
    epochs = []
    for epoch in range(1, options["epochs"] + 1):
        order, total = shuffle(seed_shuffle, counter, counts[0]), 0.0
        counter += counts[0] - 1
        for begin in range(0, counts[0], options["batch_size"]):
            rows = order[begin:begin + options["batch_size"]]
            for group in adam.param_groups:
                group["lr"] = rate_at(step, count, options)
            adam.zero_grad()
            loss = torch.nn.functional.cross_entropy(train_x[rows] @ weight.T + bias, train_y[rows])
            loss.backward()
            adam.step()
            total += loss.item() * len(rows)
            step += 1
        with torch.no_grad():
            logits = valid_x @ weight.T + bias
            validation = torch.nn.functional.cross_entropy(logits, valid_y).item()
            accuracy = (logits.argmax(1) == valid_y).double().mean().item()
        epochs.append({"loss": total / counts[0], "validation_loss": validation,
                       "validation_accuracy": accuracy})
        if best is None or validation < best[1]:
            best = (epoch, validation, weight.detach().tolist(), bias.detach().tolist())
        if options["patience"] and epoch - best[0] >= options["patience"]:
            break
    return {"name": name, "width": width, "label_count": labels, "training": options,
            "train": {"features": train_x.tolist(), "labels": train_y.tolist()},
            "validation": {"features": valid_x.tolist(), "labels": valid_y.tolist()},
            "epochs": epochs, "best_epoch": best[0], "weight": best[2], "bias": best[3]}


def main():
    usual = {"seed": 7, "epochs": 12, "batch_size": 5, "patience": 0, "learning_rate": 0.05,
             "weight_decay": 0.1, "warmup": 0.1, "schedule": "cosine"}
    cases = [
        train("cosine", 10, 3, (23, 9), usual),
        train("linear", 16, 2, (32, 8), {**usual, "schedule": "linear", "batch_size": 8, "warmup": 0.0}),
        train("constant, stops early", 3, 4, (17, 12), {**usual, "schedule": "constant", "epochs": 60,
                                                        "learning_rate": 0.5, "patience": 3, "seed": 1}),
    ]
    json.dump(cases, sys.stdout, separators=(",", ":"))
    print()


main()
