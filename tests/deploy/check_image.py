# SPDX-License-Identifier: Apache-2.0
"""check_image BIN_FOLDER: the images' list of run-time packages is what the programs load, no more and
no less: every library that a program asks for comes from a package of deploy/image/packages.txt, and
every package there is asked for."""
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.argv[1])
PROGRAMS = sorted(path for path in BIN.glob("argosy*") if path.name != "argosy-bench")
LIBRARY = BIN.parent / "lib" / "libargosy.so"
# Of every Debian system, or of the compiler that built the programs.
ALWAYS = {"libc6", "libgcc-s1", "libstdc++6"}
# Started as programs, not loaded as libraries.
STARTED = {"poppler-utils"}

if shutil.which("dpkg-query") is None or shutil.which("readelf") is None:
    print("skipped: no Debian system with binutils")
    sys.exit(77)


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def packages_listed():
    lines = (SOURCE / "deploy/image/packages.txt").read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


def libraries(program):
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", program)))


def package_of(library, program):
    """The Debian package of a library as the loader finds it; None for our own."""
    found = re.search(rf"{re.escape(library)} => (\S+)", output("ldd", program))
    if found is None or "libargosy" in library:
        return None
    path = pathlib.Path(found[1]).resolve()
    for name in (path, str(path).removeprefix("/usr")):
        result = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, timeout=60)
        if result.returncode == 0:
            return result.stdout.split(":")[0]
    raise AssertionError(f"{path} belongs to no package")


def main():
    assert PROGRAMS, f"no programs in {BIN}"
    needed = {}
    for program in [*PROGRAMS, LIBRARY]:
        for library in libraries(program):
            package = package_of(library, program)
            if package and package not in ALWAYS:
                needed.setdefault(package, f"{program.name}: {library}")
    listed = packages_listed()
    for package in sorted(set(needed) - listed):
        print(f"not ok: {package} is missing ({needed[package]})")
    for package in sorted(listed - set(needed) - STARTED):
        print(f"not ok: {package} is listed, and nothing asks for it")
    print(f"{len(PROGRAMS)} programs, {len(needed)} packages")
    return 0 if not set(needed) - listed and not listed - set(needed) - STARTED else 1


sys.exit(main())
