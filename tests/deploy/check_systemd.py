# SPDX-License-Identifier: Apache-2.0
"""check_systemd BIN_FOLDER: the units of deploy/systemd are valid to systemd-analyze, and say what the
programs do: names and addresses of sockets, exit codes that no restart helps against, times that are
longer than a drain; the configuration beside them is one."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
UNITS = SOURCE / "deploy/systemd"
BIN = pathlib.Path(sys.argv[1])


def settings(name):
    """What a unit sets, by key; a key that is set twice has its last value."""
    lines = (UNITS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def check_analyze(folder):
    """As systemd reads them, with a program that is there."""
    for unit in UNITS.glob("argosy*"):
        text = unit.read_text().replace("/usr/bin/argosy", str(BIN / "argosy"))
        (folder / unit.name).write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", *sorted(map(str, folder.iterdir()))],
                            capture_output=True, text=True, timeout=60)
    # Other units of this machine may have troubles of their own.
    ours = [line for line in result.stderr.splitlines() if "argosy" in line]
    assert not ours and result.returncode == 0, result.stderr


def check_sockets():
    config = (UNITS / "fleet.yaml").read_text()
    engine = settings("argosy-engine.socket")
    http = settings("argosy-http.socket")
    assert engine["FileDescriptorName"] == "engine" and http["FileDescriptorName"] == "http"
    assert f'"tcp://{engine["ListenStream"]}"' in config, "engine.listen has not the socket's address"
    service = settings("argosy.service")
    assert set(service["Sockets"].split()) == {unit.name for unit in UNITS.glob("*.socket")}
    for unit in UNITS.glob("*.socket"):
        assert settings(unit.name)["Service"] == "argosy.service"


def check_service():
    service = settings("argosy.service")
    codes = (SOURCE / "docs/spec/04-supervision.md").read_text()
    final = re.search(r"Exit codes (\d+), (\d+) and (\d+) .* say that starting again cannot help", codes)
    assert set(service["RestartPreventExitStatus"].split()) == set(final.groups())
    assert service["Delegate"] == "yes" and service["OOMPolicy"] == "continue"
    assert service["KillMode"] == "mixed" and service["Type"] == "notify"
    assert service["ExecStart"].endswith("--config /etc/argosy/fleet.yaml")
    assert f"data_dir: /var/lib/{service['StateDirectory']}\n" in (UNITS / "fleet.yaml").read_text()


def check_config():
    result = subprocess.run([BIN / "argosy", "config", "check", UNITS / "fleet.yaml"],
                            capture_output=True, text=True, timeout=60,
                            env=os.environ | {"ARGOSY_HTTP_LISTEN": "127.0.0.1:9464"})
    assert result.returncode == 0, result.stderr


check_sockets()
check_service()
check_config()
if shutil.which("systemd-analyze") is None:
    print("skipped: the units are consistent, but there is no systemd-analyze to read them")
    sys.exit(77)
with tempfile.TemporaryDirectory(prefix="argosy-units-") as made:
    check_analyze(pathlib.Path(made))
