#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payloads as other programs encode them, for tests/unit/sdk/test_codec.c: AES-256-GCM by Python's
cryptography (as in Temporal's Python encryption sample) and zstd by the zstd program, over protobuf
bytes written by hand. Prints C strings of hexadecimal digits."""
import subprocess

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def field(number, data):
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def payload(encoding, data):
    """message Payload { map<string, bytes> metadata = 1; bytes data = 2; }"""
    entry = field(1, b"encoding") + field(2, encoding)
    return field(1, entry) + field(2, data)


plain = payload(b"json/plain", b'{"text":"hello from Python"}')
key = bytes(range(32))
nonce = bytes(range(100, 112))
print("aes-gcm:", (nonce + AESGCM(key).encrypt(nonce, plain, None)).hex())

long_plain = payload(b"json/plain", b'"' + b"a" * 100 + b'"')
frame = subprocess.run(["zstd", "-q", "-c", "--stream-size=%d" % len(long_plain)], input=long_plain,
                       capture_output=True, check=True).stdout
print("zstd:", frame.hex())
bomb = subprocess.run(["zstd", "-q", "-c", "--stream-size=%d" % (64 << 20)], input=bytes(64 << 20),
                      capture_output=True, check=True).stdout
print("bomb:", len(bomb), bomb[:24].hex())
unsized = subprocess.run(["zstd", "-q", "-c"], input=long_plain, capture_output=True, check=True).stdout
print("unsized:", unsized.hex())
