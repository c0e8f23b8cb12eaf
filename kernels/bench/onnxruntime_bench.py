# SPDX-License-Identifier: Apache-2.0
"""Speed of ONNX Runtime on the forward pass that kernels_bench measures, to compare with it on the
same cores in the same run: MiniLM-L6 shape, random fp32 weights, texts of one length, made of ONNX
Runtime's own fused transformer operators (what its optimizer turns an exported BERT into).

    python3 -m pip install onnxruntime onnx numpy
    python3 onnxruntime_bench.py [--threads 2] [--texts 64] [--seconds 3] [length ...]
"""
import argparse
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LAYERS, WIDTH, HEADS, INNER, WORDS, POSITIONS = 6, 384, 12, 1536, 30522, 512
CONTRIB = "com.microsoft"
random = np.random.default_rng(1)
weights, nodes = [], []


def weight(name, *shape, spread=1.0):
    values = (random.uniform(-spread, spread, shape)).astype(np.float32)
    weights.append(numpy_helper.from_array(values, name))
    return name


def node(operator, inputs, output, domain=CONTRIB, **attributes):
    nodes.append(helper.make_node(operator, inputs, output if isinstance(output, list) else [output],
                                  domain=domain, **attributes))
    return output


def layer(i, hidden):
    spread = 1.7 / WIDTH**0.5
    context = node("Attention", [hidden, weight(f"qkv{i}", WIDTH, 3 * WIDTH, spread=spread),
                                 weight(f"qkv_bias{i}", 3 * WIDTH, spread=0.1)], f"context{i}",
                   num_heads=HEADS)
    out = node("MatMul", [context, weight(f"out{i}", WIDTH, WIDTH, spread=spread)], f"o{i}", "")
    hidden = node("SkipLayerNormalization",
                  [out, hidden, weight(f"g1{i}", WIDTH), weight(f"b1{i}", WIDTH, spread=0.1),
                   weight(f"out_bias{i}", WIDTH, spread=0.1)], f"a{i}", epsilon=1e-12)
    inner = node("MatMul", [hidden, weight(f"inner{i}", WIDTH, INNER, spread=spread)], f"i{i}", "")
    inner = node("BiasGelu", [inner, weight(f"inner_bias{i}", INNER, spread=0.1)], f"g{i}")
    out = node("MatMul", [inner, weight(f"back{i}", INNER, WIDTH, spread=spread / 2)], f"p{i}", "")
    return node("SkipLayerNormalization",
                [out, hidden, weight(f"g2{i}", WIDTH), weight(f"b2{i}", WIDTH, spread=0.1),
                 weight(f"back_bias{i}", WIDTH, spread=0.1)], f"h{i}", epsilon=1e-12)


def session(threads):
    node("EmbedLayerNormalization",
         ["ids", "types", weight("words", WORDS, WIDTH), weight("positions", POSITIONS, WIDTH),
          weight("kinds", 2, WIDTH), weight("g", WIDTH), weight("b", WIDTH, spread=0.1)],
         ["hidden", "mask_index"], epsilon=1e-12)
    hidden = "hidden"
    for i in range(LAYERS):
        hidden = layer(i, hidden)
    mean = node("ReduceMean", [hidden], "mean", "", axes=[1], keepdims=0)
    node("LpNormalization", [mean], "vectors", "", axis=1, p=2)
    integers = [helper.make_tensor_value_info(n, TensorProto.INT32, ["texts", "length"])
                for n in ("ids", "types")]
    floats = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", WIDTH])]
    graph = helper.make_graph(nodes, "minilm", integers, floats, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid(CONTRIB, 1)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("lengths", type=int, nargs="*", default=[16, 128, 256])
    arguments = parser.parse_args()
    run = session(arguments.threads)
    print(f"onnxruntime {onnxruntime.__version__}, {arguments.threads} threads")
    for length in arguments.lengths:
        shape = (arguments.texts, length)
        ids = random.integers(0, WORDS, shape, dtype=np.int32)
        inputs = {"ids": ids, "types": np.zeros(shape, np.int32)}
        times = []
        while len(times) < 2 or sum(times) < arguments.seconds:
            start = time.perf_counter()
            vectors = run.run(None, inputs)[0]
            times.append(time.perf_counter() - start)
        assert np.isfinite(vectors).all()
        tokens = ids.size
        print(f"length {length:4}  texts {arguments.texts:4}  best {tokens / min(times):9.0f} tok/s  "
              f"mean {tokens * len(times) / sum(times):9.0f} tok/s  batch {min(times) * 1e3:8.2f} ms  "
              f"runs {len(times)}")


if __name__ == "__main__":
    main()
