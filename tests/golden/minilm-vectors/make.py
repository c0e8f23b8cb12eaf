#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes texts.jsonl and vectors.f32: what sentence-transformers makes of many kinds of text.

    pip install sentence-transformers
    python3 make.py FOLDER      (FOLDER: the files of all-MiniLM-L6-v2)

One JSON string a line; its vector is the row of the same number, 384 little-endian fp32. The model
runs in fp32 on the CPU, one text at a time, so that no padding is involved. Texts come from a fixed
seed. None holds a special token such as "[SEP]": the package takes them for what they spell, we do not.
"""
import json
import pathlib
import random
import sys

import numpy
import sentence_transformers
import torch
import transformers

HERE = pathlib.Path(__file__).parent

HAND_WRITTEN = [
    "Hello world", "hello world", "  Hello   World  ", "a", "I", "?", "...", "!!!", "0", "42", "(SEP)x",
    "What is Deep Learning?", "Deep Learning is a part of machine learning.", "A man is eating food.",
    "A man is eating a piece of bread.", "The girl is carrying a baby.", "A cheetah chases its prey.",
    "The GPU ran out of memory while training the model.", "kubectl get pods -n production",
    "for (int i = 0; i < n; i++) sum += a[i];", "SELECT name, count(*) FROM users GROUP BY name;",
    "https://example.org/path?query=value&other=1#fragment", "someone@example.org", "$1,234.56 (50% off!)",
    "Caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00e0 la carte", "cafe\u0301 nai\u0308ve re\u0301sume\u0301", "\u00c5ngstr\u00f6m \u00fcber Stra\u00dfe",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u041a\u0430\u043a \u0434\u0435\u043b\u0430?", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u4f60\u597d\u4e16\u754c", "\u673a\u5668\u5b66\u4e60\u5f88\u6709\u8da3\u3002", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u65e5\u672c\u8a9e and English \u6df7\u5728",
    "\U0001f600 \U0001f680 \U0001f389", "I \u2764\ufe0f this! \U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f469\u200d\U0001f467 family", "flag \U0001f1e9\U0001f1ea",
    "x\u0301\u0302\u0303 z\u0335\u0336a\u0337l\u0338g\u0334o", "tab\there\nnewline\r\nreturn", "bell\u0007null\u0000escape\u001b",
    "zero\u200bwidth\ufeffmarks", "nb\u00a0sp\u2003em\u3000ideo", "\u201cquoted\u201d \u2018text\u2019 \u2014 dash\u2026",
    "\u2211\u222b\u221a\u221e \u2260 \u2264 \u2265", "H\u2082O and E=mc\u00b2", "\u00bd cup, \u2153 spoon", "\uff28\uff25\uff2c\uff2c\uff2f",
    "supercalifragilisticexpialidocious", "antidisestablishmentarianism", "z" * 101, "word " * 300, "a" * 3000,
    "\u4e2d" * 400, "ALL CAPITAL LETTERS HERE", "mIxEd CaSe TeXt", "Rock'n'roll isn't dead, it's just 'resting'.",
]

SUBJECTS = """the engine|a worker|our customer|the old man|my neighbour|a small dog|the database|this theory|
an orchestra|the minister|a comet|the algorithm|her grandmother|the supply chain|a vaccine|the river|
the goalkeeper|an unexpected error|the telescope|a poem about autumn""".replace("\n", "").split("|")
VERBS = """replaced|was surprised by|quietly ignores|has never seen|will soon publish|depends on|measured|
cannot explain|invented|argued against|is powered by|travelled with|slowly dissolves|translated|recovers from
""".replace("\n", "").split("|")
OBJECTS = """a lost message|the price of wheat|quantum mechanics|seventeen blue umbrellas|its own history|
the northern railway|a bowl of soup|every deadline|the mitochondrion|a piano concerto in D minor|open source
 software|the constitution|an elliptic curve|three spoons of sugar|the last glacier|nobody at all""".replace("\n", "").split("|")


def sentences(rng, count):
    return " ".join(f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(OBJECTS)}".capitalize()
                    + rng.choice([".", ".", "!", "?", ";"]) for _ in range(count))


def random_texts(rng):
    for _ in range(70):
        yield sentences(rng, 1)
    for _ in range(40):
        yield sentences(rng, rng.randint(2, 8))
    for _ in range(25):     # from about the longest length to far beyond it
        yield sentences(rng, rng.randint(15, 60))
    for _ in range(25):
        yield "".join(chr(rng.choice([rng.randint(32, 126), rng.randint(0xC0, 0x24F),
                                      rng.randint(0x391, 0x3C9), rng.randint(0x410, 0x44F),
                                      rng.randint(0x4E00, 0x9FA5), 32]))
                      for _ in range(rng.randint(5, 120))).replace("\u03a2", "")


def main(folder):
    torch.set_grad_enabled(False)
    model = sentence_transformers.SentenceTransformer(folder, device="cpu")
    texts = HAND_WRITTEN + list(random_texts(random.Random(20261121)))
    vectors = numpy.stack([model.encode(text, batch_size=1, show_progress_bar=False) for text in texts])
    assert vectors.dtype == numpy.float32 and vectors.shape == (len(texts), 384)
    vectors.astype("<f4").tofile(HERE / "vectors.f32")
    (HERE / "texts.jsonl").write_text("".join(json.dumps(t) + "\n" for t in texts), "utf-8")
    print(f"{len(texts)} texts; sentence-transformers {sentence_transformers.__version__}, "
          f"transformers {transformers.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main(sys.argv[1])
