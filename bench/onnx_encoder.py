# SPDX-License-Identifier: Apache-2.0
"""A BERT encoder's safetensors as ONNX graphs, in the two forms that ONNX Runtime is given one in.

plain  the operators of an exported model (MatMul, Add, Softmax, Erf ...), for ONNX Runtime to fuse
fused  ONNX Runtime's own transformer operators (Attention, SkipLayerNormalization, BiasGelu ...)

Inputs: ids [texts, length] (int64), all texts of one length, so no mask is needed; output: vectors
[texts, width], the mean of the tokens, of unit length.
"""
import json
import pathlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CONTRIB = "com.microsoft"


def read_safetensors(path):
    """Tensors of fp32 by name."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, tensor in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and tensor["dtype"] == "F32":
            begin, end = (8 + size + offset for offset in tensor["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(tensor["shape"])
    return tensors


class Graph:
    """Nodes and weights, written down in order."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = read_safetensors(folder / "model.safetensors")
        self.width = self.config["hidden_size"]
        self.heads = self.config["num_attention_heads"]
        self.epsilon = self.config["layer_norm_eps"]
        self.nodes, self.weights, self.count = [], {}, 0

    def constant(self, values, name=None):
        name = name or f"constant_{len(self.weights)}"
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def tensor(self, name):
        return self.constant(self.tensors[name], name)

    def matrix(self, name):
        """[in, out], as MatMul wants it; checkpoints have [out, in]."""
        return self.constant(self.tensors[name].T, name)

    def add(self, operator, *inputs, domain="", outputs=1, **attributes):
        names = [f"{operator}_{self.count}_{i}" for i in range(outputs)]
        self.count += 1
        self.nodes.append(helper.make_node(operator, inputs, names, domain=domain, **attributes))
        return names[0]

    def model(self, hidden):
        mean = self.add("ReduceMean", hidden, axes=[1], keepdims=0)
        self.nodes.append(helper.make_node("LpNormalization", [mean], ["vectors"], axis=1, p=2))
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "length"])
        vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", self.width])
        graph = helper.make_graph(self.nodes, "encoder", [ids], [vectors], list(self.weights.values()))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def fused(folder):
    graph = Graph(folder)
    ids = graph.add("Cast", "ids", to=TensorProto.INT32)
    types = graph.add("Sub", ids, ids)
    hidden = graph.add("EmbedLayerNormalization", ids, types,
                       *(graph.tensor(f"embeddings.{name}") for name in (
                           "word_embeddings.weight", "position_embeddings.weight",
                           "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias")),
                       domain=CONTRIB, outputs=2, epsilon=graph.epsilon)
    for i in range(graph.config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        parts = [layer + f"attention.self.{part}." for part in ("query", "key", "value")]
        qkv = graph.constant(np.concatenate([graph.tensors[part + "weight"] for part in parts]).T)
        bias = graph.constant(np.concatenate([graph.tensors[part + "bias"] for part in parts]))
        context = graph.add("Attention", hidden, qkv, bias, domain=CONTRIB, num_heads=graph.heads)
        hidden = fused_residual(graph, layer + "attention.output.", context, hidden)
        inner = graph.add("MatMul", hidden, graph.matrix(layer + "intermediate.dense.weight"))
        inner = graph.add("BiasGelu", inner, graph.tensor(layer + "intermediate.dense.bias"),
                          domain=CONTRIB)
        hidden = fused_residual(graph, layer + "output.", inner, hidden)
    return graph.model(hidden)


def fused_residual(graph, name, x, residual):
    out = graph.add("MatMul", x, graph.matrix(name + "dense.weight"))
    return graph.add("SkipLayerNormalization", out, residual, graph.tensor(name + "LayerNorm.weight"),
                     graph.tensor(name + "LayerNorm.bias"), graph.tensor(name + "dense.bias"),
                     domain=CONTRIB, epsilon=graph.epsilon)


def plain(folder):
    graph = Graph(folder)
    hidden = plain_embedding(graph)
    for i in range(graph.config["num_hidden_layers"]):
        layer = f"encoder.layer.{i}."
        context = plain_attention(graph, layer + "attention.self.", hidden)
        hidden = plain_residual(graph, layer + "attention.output.", context, hidden)
        inner = plain_linear(graph, layer + "intermediate.dense.", hidden)
        root = graph.add("Div", inner, graph.constant(np.float32(2**0.5), "root_of_two"))
        erf = graph.add("Add", graph.add("Erf", root), graph.constant(np.float32(1), "one"))
        inner = graph.add("Mul", graph.add("Mul", inner, erf), graph.constant(np.float32(0.5), "half"))
        hidden = plain_residual(graph, layer + "output.", inner, hidden)
    return graph.model(hidden)


def plain_embedding(graph):
    length = graph.add("Slice", graph.add("Shape", "ids"), graph.constant(np.array([1]), "from"),
                       graph.constant(np.array([2]), "to"))
    positions = graph.add("Slice", graph.tensor("embeddings.position_embeddings.weight"),
                          graph.constant(np.array([0]), "first"), length)
    words = graph.add("Gather", graph.tensor("embeddings.word_embeddings.weight"), "ids")
    types = graph.constant(graph.tensors["embeddings.token_type_embeddings.weight"][0])
    total = graph.add("Add", graph.add("Add", words, types), positions)
    return plain_norm(graph, "embeddings.", total)


def plain_norm(graph, name, x):
    return graph.add("LayerNormalization", x, graph.tensor(name + "LayerNorm.weight"),
                     graph.tensor(name + "LayerNorm.bias"), axis=-1, epsilon=graph.epsilon)


def plain_linear(graph, name, x):
    product = graph.add("MatMul", x, graph.matrix(name + "weight"))
    return graph.add("Add", graph.tensor(name + "bias"), product)


def plain_residual(graph, name, x, residual):
    return plain_norm(graph, name, graph.add("Add", plain_linear(graph, name + "dense.", x), residual))


def plain_attention(graph, name, x):
    split = graph.constant(np.array([0, 0, graph.heads, graph.width // graph.heads]), "split")
    query, key, value = (
        graph.add("Transpose", graph.add("Reshape", plain_linear(graph, f"{name}{part}.", x), split),
                  perm=perm)
        for part, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])))
    root = graph.constant(np.float32((graph.width // graph.heads) ** 0.5), "root_of_head")
    scores = graph.add("Softmax", graph.add("Div", graph.add("MatMul", query, key), root), axis=-1)
    context = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[0, 2, 1, 3])
    return graph.add("Reshape", context, graph.constant(np.array([0, 0, graph.width]), "joined"))


FORMS = {"plain": plain, "fused": fused}
