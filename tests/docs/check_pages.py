#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pages against the tree and the program: links lead somewhere, commands and their options are ones
that argosy has, C code is that of the examples, and the lines of docs/failures.md are the fault tests.

usage: check_pages.py BIN_DIR
"""
import collections, functools, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARGOSY = pathlib.Path(sys.argv[1]) / "argosy"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md"),
                *ROOT.glob("examples/*/README.md"), *ROOT.glob("deploy/*/README.md")])
complaints = []


def complain(page, text):
    complaints.append(f"{page.relative_to(ROOT)}: {text}")


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(page):
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists():
            complain(page, f"leads nowhere: {link}")
        elif anchor and anchor not in anchors(target):
            complain(page, f"no such heading: {link}")
    return len(links)


def is_there(path):
    """A path of the tree; a module is named without .c and .h, a test without tests/ and .bats."""
    return ((ROOT / path).exists() or any(ROOT.glob(f"{path}.[ch]"))
            or any(ROOT.glob(f"tests/*/{path}.bats")))


def check_paths(page):
    """`tests/...` and other paths in running text; overlays/ours stands for one of the reader's."""
    folders = "|".join(path.name for path in ROOT.iterdir()
                       if path.is_dir() and not path.name.startswith((".", "build")))
    paths = re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text())
    for path in paths:
        if "/ours/" not in path and not is_there(path) and not (page.parent / path).exists():
            complain(page, f"no such file: {path}")
    return len(paths)


@functools.cache
def help_of(*command):
    """The command's help, or None where argosy has no such command."""
    done = subprocess.run([ARGOSY, *command, "--help"], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def check_command(page, line):
    """Options are looked for behind the command's own words, up to the end of the command."""
    words = re.split(r"[|;&)<>]", re.sub(r"'[^']*'|\"[^\"]*\"", "X", line))[0].split()
    command = []
    for word in words[:2]:
        if not re.fullmatch(r"[a-z-]+", word) or help_of(*command, word) is None:
            break
        command.append(word)
    if not command:
        return complain(page, f"no such command: argosy {line}")
    text = help_of(*command)
    if "usage: argosy " + " ".join(command) + " COMMAND" in text:
        return complain(page, f"no such command: argosy {line}")
    for option in words[len(command):]:
        name = option.partition("=")[0]
        if re.fullmatch(r"--[a-z-]+|-[a-z]", name) and not re.search(
                rf"(^|[\s,]){re.escape(name)}[\s,]", text):
            complain(page, f"argosy {' '.join(command)} has no {name}")


def check_commands(page):
    lines = []
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(), re.S | re.M):
        block = block.replace("\\\n", " ")
        lines += re.findall(r"(?:^|[|(]|-- |\$ )\s*argosy ([a-z].*)", block, re.M)
    for line in lines:
        check_command(page, line)
    return len(lines)


def flush_left(code):
    return "\n" + "\n".join(line.strip() for line in code.splitlines()) + "\n"


def check_code(page):
    """Wherever it is indented. programming.md has a test of its own, and headers hold the specs' code."""
    examples = [flush_left(path.read_text()) for path in ROOT.glob("examples/*/*.c")]
    blocks = re.findall(r"^```c\n(.*?)^```$", page.read_text(), re.S | re.M)
    for block in blocks:
        if not any(flush_left(block) in text for text in examples):
            complain(page, f"in no example: {block}")
    return len(blocks)


def tests_by_name():
    """Files by their name, and by CTest's."""
    tests = collections.defaultdict(set)
    for path in ROOT.glob("tests/**/*"):
        if path.suffix in (".bats", ".c"):
            tests[path.stem.removeprefix("test_")].add(path)
    for listing in ROOT.glob("tests/**/CMakeLists.txt"):
        for name, file in re.findall(r"^ *argosy_\w*test\((\w+)\s+(?:SCRIPT|SOURCES)\s+([\w.]+)",
                                     listing.read_text(), re.M):
            tests[name].add(listing.parent / file)
    return tests


def check_failures():
    """Each line names a test that exists, and each fault test has a line."""
    page = ROOT / "docs/failures.md"
    tests = tests_by_name()
    named = set()
    lines = [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]
    for line in lines:
        names = re.findall(r"`(?:[a-z_]+/)?([a-z_]+)`", line)
        found = set().union(*(tests[name] for name in names))
        if not found:
            complain(page, f"names no test: {line}")
        named |= found
    for path in set().union(*tests.values()) - named:
        if path.is_relative_to(ROOT / "tests/fault"):
            complain(page, f"no line for {path.relative_to(ROOT)}")
    return len(lines)


counts = {"links": 0, "paths": 0, "commands": 0, "code": 0}
for page in PAGES:
    counts["links"] += check_links(page)
    counts["paths"] += check_paths(page)
    counts["commands"] += check_commands(page)
    if page.is_relative_to(ROOT / "docs") and "spec" not in page.parts:
        counts["code"] += check_code(page)
counts["failures"] = check_failures()
print(*complaints, counts, sep="\n")
# A change of the pages' form must not make the checks look at nothing.
least = {"links": 60, "paths": 60, "commands": 120, "code": 9, "failures": 25}
sys.exit(bool(complaints) or any(counts[name] < bound for name, bound in least.items()))
