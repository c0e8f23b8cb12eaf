# SPDX-License-Identifier: Apache-2.0
"""Forward passes by Argosy's CPU device and by ONNX Runtime, in turns; bench/compare-encode runs this.

ONNX Runtime may choose: of both forms of the graph (onnx_encoder.py), and of the whole batch at once
or in parts that stay in a core's cache, the fastest is found first and compared with. Each pair is one
slice of each program, the best batch of the slice counts, and the ratio is the median of the pairs.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

import onnx_encoder

PART_TOKENS = 512
LEAST_COSINE = {"fp32": 0.9999, "bf16": 0.9995}


def numbers(text):
    return [int(number) for number in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--lengths", type=numbers, default=[16, 128, 256])
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cores", type=numbers, default=sorted(os.sched_getaffinity(0)))
    return parser.parse_args()


class Runtime:
    """ONNX Runtime's sessions, and the way that was fastest at a length."""

    def __init__(self, arguments):
        self.texts, self.seconds = arguments.texts, arguments.seconds
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(arguments.cores)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.sessions = {
            name: onnxruntime.InferenceSession(form(arguments.model), options,
                                               providers=["CPUExecutionProvider"])
            for name, form in onnx_encoder.FORMS.items()}
        vocabulary = json.loads((pathlib.Path(arguments.model) / "config.json").read_text())["vocab_size"]
        # The tokens of bench/encode.c.
        self.tokens = np.arange(arguments.texts * max(arguments.lengths), dtype=np.int64) * 7919 % vocabulary

    def run(self, way, length):
        form, part = way
        ids = self.tokens[:self.texts * length].reshape(self.texts, length)
        return np.concatenate([self.sessions[form].run(None, {"ids": ids[i:i + part]})[0]
                               for i in range(0, self.texts, part)])

    def best_s(self, way, length):
        """The best batch of a slice."""
        took = []
        while len(took) < 3 or sum(took) < self.seconds:
            begin = time.perf_counter()
            self.run(way, length)
            took.append(time.perf_counter() - begin)
        return min(took)

    def fastest_way(self, length):
        parts = {self.texts, max(1, min(self.texts, PART_TOKENS // length))}
        best = {(form, part): 1e9 for form in self.sessions for part in parts}
        for _ in range(2):
            for way in best:
                best[way] = min(best[way], self.best_s(way, length))
        for (form, part), seconds in sorted(best.items(), key=lambda item: item[1]):
            print(f"ONNX Runtime, length {length}, {form} graph, {part} texts at once: "
                  f"{self.texts * length / seconds:.0f} tok/s", file=sys.stderr)
        return min(best, key=best.get)


def argosy(arguments, precision, length, vectors):
    """The best batch of a slice; None where the processor lacks the precision."""
    run = subprocess.run(
        [f"{arguments.bin}/argosy-bench", "encode", "--model", arguments.model, "--precision", precision,
         "--lengths", str(length), "--texts", str(arguments.texts), "--threads", str(len(arguments.cores)),
         "--seconds", str(arguments.seconds), "--output", "json", "--vectors", vectors], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        print(f"{precision}: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(run.stdout)["lengths"][0]["best_s"]


def least_cosine(ours, theirs):
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(axis=1) / norms).min())


def compare(arguments, runtime, precisions, length, vectors):
    """Rows of the table at one length."""
    way = runtime.fastest_way(length)
    wanted = runtime.run(way, length)
    theirs, ours = [], {precision: [] for precision in precisions}
    cosines = {}
    for _ in range(arguments.pairs):
        theirs.append(runtime.best_s(way, length))
        for precision in precisions:
            ours[precision].append(argosy(arguments, precision, length, vectors))
            cosines[precision] = least_cosine(np.fromfile(vectors, "<f4").reshape(wanted.shape), wanted)
    tokens = arguments.texts * length
    for precision in precisions:
        ratios = [their / our for their, our in zip(theirs, ours[precision])]
        print(f"| {length} | {precision} | {tokens / min(ours[precision]):,.0f} | {tokens / min(theirs):,.0f} | "
              f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} | "
              f"{cosines[precision]:.7f} |", flush=True)
    return [f"length {length}, {precision}: a cosine of {cosine}" for precision, cosine in cosines.items()
            if not cosine >= LEAST_COSINE[precision]]


def main():
    arguments = parse_arguments()
    os.sched_setaffinity(0, arguments.cores)
    runtime = Runtime(arguments)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        vectors = f"{folder}/vectors.f32"
        precisions = [precision for precision in LEAST_COSINE
                      if argosy(arguments, precision, arguments.lengths[0], vectors) is not None]
        if "fp32" not in precisions:
            sys.exit(70)
        print(f"ONNX Runtime {onnxruntime.__version__} (fp32), {len(arguments.cores)} cores, "
              f"{arguments.texts} texts of one length, {arguments.pairs} pairs\n")
        print("| length | Argosy | best tok/s | ONNX Runtime best tok/s | ratio, median of pairs | "
              "ratios | least cosine |\n|---|---|---|---|---|---|---|")
        for length in arguments.lengths:
            wrong += compare(arguments, runtime, precisions, length, vectors)
    for text in wrong:
        print(f"the vectors differ: {text}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
