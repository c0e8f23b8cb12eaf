#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/text_rules.txt: the text rules of workflows/text.h as Python 3 has them.

    text_rules.py > text_rules.txt      write the file from this Python's Unicode tables
    text_rules.py --check text_rules.txt
                                        exit 1 if this Python disagrees with the file on a code
                                        point or string (a newer Python knows more code points; on
                                        those the file calls assigned it must say the same)

Lines, numbers in hexadecimal:
    unicode VERSION
    range FIRST LAST RULE CONTEXT       RULE: keep | space | drop | none (not assigned: not compared)
                                              | lower:X[.Y] (FIRST becomes X [Y], the next X+1 ...)
                                        CONTEXT, for the final sigma: ignorable | cased | other
    string INPUT LENGTH CLEAN           UTF-8 in hexadecimal, "-" when empty
"""
import random
import sys
import unicodedata

SIGMA, FINAL = "\u03a3", "\u03c2"


def is_dropped(char):
    return not char.isspace() and unicodedata.category(char) in ("Cc", "Cf")


def clean(text):
    return " ".join("".join(c for c in text if not is_dropped(c)).split()).lower()


def code_points():
    return (cp for cp in range(0x110000) if not 0xD800 <= cp < 0xE000)


def rule_of(char):
    """(rule name, lower-case code points) of one character, and a proof that clean() follows it."""
    if unicodedata.category(char) == "Cn":
        return "none", None
    inside = clean("1" + char + "1")
    if inside == "1 1":
        assert clean(char) == ""
        return "space", None
    if inside == "11":
        assert clean(char) == ""
        return "drop", None
    lower = char.lower()
    assert inside == "1" + lower + "1" and clean(char) == lower
    return ("keep", None) if lower == char else ("lower", [ord(c) for c in lower])


def context_of(char):
    """What char is to a capital sigma behind it; a dropped character is not there."""
    after_letter = clean("A" + char + SIGMA).endswith(FINAL)
    after_digit = clean("1" + char + SIGMA).endswith(FINAL)
    return "cased" if after_digit else "ignorable" if after_letter else "other"


def ranges():
    current = None
    for cp in code_points():
        rule, lower = rule_of(chr(cp))
        context = "other" if rule == "none" else context_of(chr(cp))
        if (current is not None and cp == current["last"] + 1 and rule == current["rule"]
                and context == current["context"]
                and (lower is None or (len(lower) == 1 and len(current["lower"]) == 1
                     and lower[0] - cp == current["lower"][0] - current["first"]))):
            current["last"] = cp
            continue
        if current is not None:
            yield current
        current = {"first": cp, "last": cp, "rule": rule, "lower": lower, "context": context}
    yield current


def hexadecimal(text):
    return text.encode("utf-8").hex() or "-"


def strings():
    """Random texts in which the rules meet: letters, sigmas, spaces, controls, joiners, anything."""
    rng = random.Random(20240501)
    assigned = [cp for cp in code_points() if unicodedata.category(chr(cp)) not in ("Cn", "Co")]
    ignorable = [cp for cp in assigned if context_of(chr(cp)) == "ignorable"]
    spaces = [cp for cp in assigned if chr(cp).isspace()]
    dropped = [cp for cp in assigned if is_dropped(chr(cp))]
    cased = [cp for cp in assigned if context_of(chr(cp)) == "cased"]
    pools = [[0x3A3], [0x3A3], spaces, dropped, ignorable, cased, assigned, [0x130, 0x49, 0x307],
             list(range(0x20, 0x7F))]
    fixed = ["", " ", "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u3000", "\u200b", "\x00", "a\x00b",
             "  Hello  world  ", "ΟΔΥΣΣΕΥΣ", "ΣΑΣ Σ ΑΣ. ΑΣ.Α", "İstanbul IĞDIR", "ΑΣ\u00adΑ",
             "ΑΣ\x00Α", "ǅungla Ǆ", "STRASSE straße ẞ", "line one\r\nline\ttwo", "👩\u200d💻 Zero\ufeff"]
    for text in fixed:
        yield text
    for _ in range(4000):
        yield "".join(chr(rng.choice(rng.choice(pools))) for _ in range(rng.randrange(1, 16)))


def write():
    print("# SPDX-License-Identifier: Apache-2.0")
    print("# Written by tests/golden/text_rules.py, Python", sys.version.split()[0])
    print("unicode", unicodedata.unidata_version)
    for r in ranges():
        rule = r["rule"]
        if rule == "lower":
            rule += ":" + ".".join("%X" % cp for cp in r["lower"])
        print("range %X %X %s %s" % (r["first"], r["last"], rule, r["context"]))
    for text in strings():
        print("string %s %X %s" % (hexadecimal(text), len(text), hexadecimal(clean(text))))


def check(path):
    wrong = 0
    for line in open(path, encoding="ascii"):
        word = line.split()
        if word[0] == "range" and word[3] != "none":
            first, last = int(word[1], 16), int(word[2], 16)
            for cp in range(first, last + 1):
                rule, lower = rule_of(chr(cp))
                if lower is not None:
                    rule += ":" + ".".join("%X" % x for x in [lower[0] - (cp - first)] + lower[1:])
                if (rule, context_of(chr(cp))) != (word[3], word[4]):
                    print("U+%04X: file says %s %s, this Python %s %s"
                          % (cp, word[3], word[4], rule, context_of(chr(cp))))
                    wrong += 1
        elif word[0] == "string":
            text = bytes.fromhex(word[1].strip("-")).decode("utf-8")
            if (len(text), hexadecimal(clean(text))) != (int(word[2], 16), word[3]):
                print("string %s: this Python says %s" % (word[1], hexadecimal(clean(text))))
                wrong += 1
    print("Unicode %s: %d differences" % (unicodedata.unidata_version, wrong))
    return wrong == 0


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        sys.exit(0 if check(sys.argv[2]) else 1)
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    write()
