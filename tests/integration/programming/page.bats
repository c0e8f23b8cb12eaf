#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# docs/programming.md: its code is that of the examples, which are built and run by tests of theirs.

PAGE=$ARGOSY_SOURCE_DIR/docs/programming.md

@test "every block of code stands in an example, line by line" {
  run python3 - "$PAGE" "$ARGOSY_SOURCE_DIR/examples" <<'PYTHON'
import pathlib, re, sys

page = pathlib.Path(sys.argv[1]).read_text()
examples = {}
for path in pathlib.Path(sys.argv[2]).rglob("*"):
    if path.suffix in (".c", ".yaml"):
        examples[path] = "\n" + path.read_text()
used = set()
for language, block in re.findall(r"^```(c|yaml)\n(.*?)^```$", page, re.S | re.M):
    found = [path for path, text in examples.items() if "\n" + block in text]
    if not found:
        sys.exit("in no example:\n" + block)
    used.update(path.parent.name for path in found)
print(" ".join(sorted(used)))
PYTHON
  echo "$output"
  [ "$status" = 0 ]
  [ "$output" = "dag hello lottery order saga sleep split" ]
}

@test "every file, heading and function that it names exists" {
  local name count=0
  while read -r name; do
    grep -qE "\b$name\b" "$ARGOSY_SOURCE_DIR"/include/argosy/*.h || { echo "unknown: $name"; return 1; }
    count=$((count + 1))
  done < <(grep -oE '\b(argosy_[a-z_]+|ARGOSY_[A-Z_]+)\b' "$PAGE" | sort -u)
  [ "$count" -ge 20 ]
  while read -r name; do
    [ -e "$ARGOSY_SOURCE_DIR/docs/$name" ] || { echo "missing: $name"; return 1; }
  done < <(grep -oE '\]\([^)#]+\)' "$PAGE" | tr -d '()]')
  while read -r name; do
    grep -iE '^## ' "$PAGE" | tr '[:upper:] ' '[:lower:]-' | tr -d ',' | grep -qx -- "##-$name" ||
      { echo "no heading: $name"; return 1; }
  done < <(grep -oE '\]\(#[^)]+\)' "$PAGE" | tr -d '()]#')
}
