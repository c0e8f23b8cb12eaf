#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes wordpiece.jsonl: what the package `tokenizers` makes of many kinds of text.

    pip install tokenizers
    python3 wordpiece.py        (rewrites wordpiece.jsonl beside itself)

Each line: {"text", "capacity", "ids"}; ids are [CLS] pieces [SEP] cut to capacity. The vocabulary is
that of bert-base-uncased and all-MiniLM-L6-v2 (wordpiece.vocab.txt, Apache License 2.0). The tokenizer is put together
from its parts rather than loaded, so that no string of the text is taken for a special token. Random
texts come from a fixed seed and of code points whose category has not changed since Unicode 3.2,
because the package's tables are older than ours (U+1734 was a nonspacing mark then and is none now).
"""
import json
import pathlib
import random
import unicodedata

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).parent
CLS, SEP = 101, 102

HAND_WRITTEN = [
    "", " ", "\t\n\r ", "hello", "Hello World", "  Hello   world  ", "unaffable", "embeddings",
    "What is Deep Learning?", "Deep Learning is...", "The quick brown fox jumps over the lazy dog.",
    "don't can't won't it's o'clock rock'n'roll", "e-mail: someone@example.org, http://a.b/c?d=e&f#g",
    "3.14159 1,000,000 $5.00 50% 2nd 1st 0x1F 1e-12", "snake_case camelCase kebab-case SCREAMING_CASE",
    "a", "A", "z" * 100, "z" * 101, "Z" * 99 + " end", "\u00e9" * 100, "\u00e9" * 101,
    "[CLS] [SEP] [PAD] [UNK] [MASK]", "[CLS][SEP]", "before [SEP] after", "[unused1] [unused99]",
    "##ing ##s # #", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9 \u00c5ngstr\u00f6m \u00fcber Stra\u00dfe STRASSE \u1e9e",
    "cafe\u0301 nai\u0308ve re\u0301sume\u0301", "\u0130stanbul \u0131\u015f\u0131k I\u0307",
    "\u039f\u0394\u039f\u03a3 \u03bf\u03b4\u03cc\u03c2 \u03a3\u03b9\u03b3\u03bc\u03b1 \u03a3",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u0401\u043b\u043a\u0430 \u0439",
    "\u4f60\u597d\u4e16\u754c", "\u4f60\u597d, world \u4e16\u754c!", "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8",
    "\u30ab\u3099\u30ad\u3099 \u30ac\u30ae", "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8", "\u1112\u1161\u11ab",
    "\uf900\uf901 \U0002f800 \U00020000\U0002a6df", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\U0001f600 \U0001f1e9\U0001f1ea \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f44d\U0001f3fd",
    "a\u0000b\ufffdc\u0007d\u001be", "zero\u200bwidth\u200cjoin\u200der\ufeffbom", "soft\u00adhyphen",
    "nb\u00a0sp en\u2002em\u2003thin\u2009line\u2028para\u2029ideo\u3000end", "vt\u000bff\u000cnel\u0085fs\u001c",
    "\u201cquotes\u201d \u2018single\u2019 \u2014 dash \u2013 \u2026 \u00ab\u00bb \u00bf\u00a1 \u00a7\u00b6",
    "\u20ac100 \u00a35 \u00a53 \u00a9 \u00ae \u2122 \u00b0C \u00b1 \u00d7 \u00f7 \u2260 \u2264 \u221e",
    "x\u0301\u0302\u0303\u0304y Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319A\u0333L",
    "\ufb01ne \ufb02ow \u2167 \u00bd \u00b2 \u2460 \uff21\uff22\uff23 \uff01", "\u037e\u1fef\u2126\u212a\u212b",
    "\u0149 \u01c5 \u01f0 \u1e96 \ufb03", "line one\nline two\r\nline three\ttabbed", "\ue000\uf8ff private",
    "supercalifragilisticexpialidocious antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "\u1e69 s\u0323\u0307 s\u0307\u0323", "\u0915\u093c \u0958", "\u1100\u1161\u11a8\uac01",
]

WORDS = """the of and to in is was for on that with as his they be at one have this from or had by hot word
but what some we can out other were all there when up use your how said an each she which do their time if
will way about many then them write would like so these her long make thing see him two has look more day
could go come did number sound no most people my over know water than call first who may down side been now
find any new work part take get place made live where after back little only round man year came show every
good me give our under name very through just form sentence great think say help low line differ turn cause
much mean before move right boy old too same tell does set three want air well also play small end put home
read hand port large spell add even land here must big high such follow act why ask men change went light
kind off need house picture try us again animal point mother world near build self earth father head stand
own page should country found answer school grow study still learn plant cover food sun four between state
keep eye never last let thought city tree cross farm hard start might story saw far sea draw left late run
transformer attention embedding gpu kubernetes zeromq durable workflow orchestration tokenization heartbeat
checkpoint quantization photosynthesis mitochondria jurisprudence Wittgenstein Dostoyevsky Reykjavik""".split()


def random_texts(rng):
    for _ in range(160):
        words = [rng.choice(WORDS) for _ in range(rng.randint(1, 30))]
        words = [rng.choice([str.lower, str.upper, str.title, str])(w) for w in words]
        yield rng.choice([" ", "  ", ", ", "\n", "-", ""]).join(words) + rng.choice([".", "!", "", "?!"])
    for _ in range(60):
        yield "".join(chr(rng.randint(0, 127)) for _ in range(rng.randint(1, 80)))
    assigned = [c for c in map(chr, range(0x110000))
                if usable(c) and unicodedata.category(c) != "Co"]
    low = [c for c in assigned if ord(c) < 0x2000]
    marks = [c for c in low if unicodedata.category(c) in ("Mn", "Mc", "Me")]
    for _ in range(120):
        yield "".join(rng.choice(low) for _ in range(rng.randint(1, 40)))
    for _ in range(120):
        yield "".join(rng.choice(assigned) for _ in range(rng.randint(1, 40)))
    for _ in range(60):
        yield "".join(rng.choice("aeioucnsAEIOUCNS ") + rng.choice(marks) * rng.randint(0, 2)
                      for _ in range(rng.randint(1, 30)))
    for _ in range(60):
        yield "".join(rng.choice([rng.choice(WORDS), rng.choice(low), rng.choice(assigned), " ", "."])
                      for _ in range(rng.randint(1, 60)))


def usable(c):
    """Assigned and of one category in old and new Unicode: the package's tables are old ones."""
    category = unicodedata.category(c)
    return category not in ("Cs", "Cn") and unicodedata.ucd_3_2_0.category(c) == category


def main():
    rng = random.Random(20261121)
    vocab = {line: i for i, line in
             enumerate((HERE / "wordpiece.vocab.txt").read_text("utf-8").split("\n")[:-1])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    with open(HERE / "wordpiece.jsonl", "w", encoding="utf-8") as out:
        for i, text in enumerate(HAND_WRITTEN + list(random_texts(rng))):
            capacity = 256 if i % 5 else rng.choice([2, 3, 8, 16, 64])
            ids = tokenizer.encode(text, add_special_tokens=False).ids[:capacity - 2]
            json.dump({"text": text, "capacity": capacity, "ids": [CLS, *ids, SEP]}, out)
            out.write("\n")
    print(f"tokenizers {tokenizers.__version__}")


if __name__ == "__main__":
    main()
