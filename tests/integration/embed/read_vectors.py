#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""read_vectors FILE [ROWS]: prints the shape of a file of vectors and then the numbers of so many
rows (all), one a line.

Reads .npy by NumPy's description of the format (NEP 1) and safetensors by its own, with nothing but
Python's library: a reader that shares no code with the writer. Fails where a file breaks a rule.
"""
import ast
import json
import struct
import sys


def read_npy(data):
    assert data[:6] == b"\x93NUMPY" and data[6:8] == b"\x01\x00", "magic, version"
    (length,) = struct.unpack("<H", data[8:10])
    header = data[10 : 10 + length]
    assert (10 + length) % 64 == 0, "the data must be aligned"
    assert header.endswith(b"\n"), "the header must end in a line feed"
    fields = ast.literal_eval(header.decode("latin1"))
    assert set(fields) == {"descr", "fortran_order", "shape"}, "keys"
    assert fields["descr"] == "<f4" and fields["fortran_order"] is False
    return fields["shape"], data[10 + length :]


def read_safetensors(data):
    (length,) = struct.unpack("<Q", data[:8])
    assert (8 + length) % 8 == 0, "the data must be aligned"
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    assert list(header) == ["vectors"], "one tensor"
    tensor = header["vectors"]
    assert tensor["dtype"] == "F32"
    assert tensor["data_offsets"] == [0, len(data) - 8 - length]
    return tuple(tensor["shape"]), data[8 + length :]


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    shape, values = (read_npy if data[:1] == b"\x93" else read_safetensors)(data)
    assert len(values) == 4 * shape[0] * shape[1], "rows and columns must fill the file"
    print(*shape)
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else shape[0]
    for (value,) in struct.iter_unpack("<f", values[: 4 * shape[1] * rows]):
        print(f"{value:.9g}")


main()
