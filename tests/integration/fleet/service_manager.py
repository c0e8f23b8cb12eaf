#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet under a service manager, played by this program as systemd does it: a datagram socket that
is notified, a watchdog, and listening sockets of the engine and of HTTP that it opened itself.

usage: service_manager.py FOLDER_OF_PROGRAMS
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

WATCHDOG_S = 8.0
WAIT_S = 60


def fail(text):
    raise AssertionError(text)


class Manager:
    """Starts the fleet; keeps what it is told."""

    def __init__(self, programs, folder):
        self.folder = folder
        self.path = os.path.join(folder, "notify")
        self.inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.inbox.bind(self.path)
        self.engine = self.listen()
        self.http = self.listen()
        self.log = open(os.path.join(folder, "log"), "w")
        config = os.path.join(folder, "fleet.yaml")
        with open(config, "w") as file:
            file.write("data_dir: data\n"
                       f"engine: {{listen: [ipc, \"tcp://127.0.0.1:{self.port(self.engine)}\"],"
                       " insecure: true}\n"
                       "groups: [{name: cpu, kind: cpu, processes: 1}]\n")
        self.pid = os.fork()
        if self.pid == 0:
            self.become_fleet(os.path.join(programs, "argosy"), config)

    @staticmethod
    def listen():
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("127.0.0.1", 0))
        made.listen(64)
        return made

    @staticmethod
    def port(made):
        return made.getsockname()[1]

    def become_fleet(self, program, config):
        try:
            os.setsid()
            os.dup2(self.log.fileno(), 1)
            os.dup2(self.log.fileno(), 2)
            # Out of each other's way, then to 3 and 4; nothing else is inherited.
            apart = [os.dup(made.fileno()) for made in (self.engine, self.http)]
            high = [fd + 100 for fd in apart]
            for fd, to in zip(apart, high):
                os.dup2(fd, to)
            for to, fd in enumerate(high, 3):
                os.dup2(fd, to)
            os.closerange(5, 1024)
            os.environ.update(NOTIFY_SOCKET=self.path, LISTEN_FDS="2",
                              LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="engine:http",
                              WATCHDOG_USEC=str(int(WATCHDOG_S * 1e6)),
                              WATCHDOG_PID=str(os.getpid()))
            os.execv(program, [program, "up", "-c", config])
        finally:
            os._exit(127)

    def told(self, wait_s):
        """The next message, or None."""
        self.inbox.settimeout(max(wait_s, 0.001))
        try:
            return self.inbox.recv(4096).decode()
        except socket.timeout:
            return None

    def wait_told(self, start, wait_s=WAIT_S):
        """Waits for a message that begins so; what comes before it is dropped."""
        end = time.monotonic() + wait_s
        seen = []
        while time.monotonic() < end:
            text = self.told(end - time.monotonic())
            if text is not None and text.startswith(start):
                return text
            seen.append(text)
        fail(f"was not told {start!r}, but {seen}")

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def child(self, name):
        for pid in self.children():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    program = file.read().split(b"\0")[0].decode()
            except OSError:
                continue  # it has ended meanwhile
            if os.path.basename(program) == name:
                return pid
        return None

    def end(self):
        """The exit code."""
        os.kill(self.pid, signal.SIGTERM)
        self.wait_told("STOPPING=1")
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


def check_environment(manager):
    """What is the supervisor's is not its children's."""
    pids = manager.children()
    if len(pids) < 3:
        fail(f"only {pids}")
    for pid in pids:
        with open(f"/proc/{pid}/environ", "rb") as file:
            names = {entry.split(b"=")[0] for entry in file.read().split(b"\0")}
        left = names & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID", b"LISTEN_FDS",
                        b"LISTEN_PID", b"LISTEN_FDNAMES"}
        if left:
            fail(f"process {pid} inherited {left}")


def check_watchdog(manager):
    """Pinged at half its time, and not by a supervisor that stands still."""
    manager.wait_told("WATCHDOG=1")
    before = time.monotonic()
    manager.wait_told("WATCHDOG=1")
    if time.monotonic() - before > WATCHDOG_S:
        fail(f"{time.monotonic() - before:.1f} s between two pings")
    os.kill(manager.pid, signal.SIGSTOP)
    while manager.told(WATCHDOG_S) is not None:
        pass  # on its way when the supervisor stopped
    os.kill(manager.pid, signal.SIGCONT)
    manager.wait_told("WATCHDOG=1")


def check_engine_restart(manager):
    """While the engine is gone nobody who connects to its port is refused."""
    engine = manager.child("argosy-engine")
    os.kill(engine, signal.SIGKILL)
    count = 0
    end = time.monotonic() + WAIT_S
    while True:
        with socket.create_connection(("127.0.0.1", manager.port(manager.engine)), timeout=WAIT_S):
            count += 1
        new = manager.child("argosy-engine")
        if new not in (None, engine):
            break
        if time.monotonic() > end:
            fail("no new engine")
    print(f"{count} connections while the engine restarted, none refused")


def check_upgrade(manager, programs):
    """A supervisor that is replaced in place has what the one before it was given."""
    subprocess.run([os.path.join(programs, "argosy"), "fleet", "upgrade", "--data-dir",
                    os.path.join(manager.folder, "data")],
                   check=True, timeout=WAIT_S, stdout=subprocess.DEVNULL)
    manager.wait_told("READY=1")
    manager.wait_told("WATCHDOG=1")
    check_environment(manager)
    check_engine_restart(manager)
    list_workflows(manager, programs)


def list_workflows(manager, programs):
    """A client reaches the engine by the socket that was passed."""
    address = f"tcp://127.0.0.1:{manager.port(manager.engine)}"
    subprocess.run([os.path.join(programs, "argosy"), "workflow", "list", "--address", address],
                   check=True, timeout=WAIT_S, stdout=subprocess.DEVNULL)


def check(programs, folder):
    manager = Manager(programs, folder)
    try:
        manager.wait_told("STATUS=starting: ")
        manager.wait_told("READY=1")
        manager.wait_told("STATUS=running: ")
        check_environment(manager)
        with urllib.request.urlopen(f"http://127.0.0.1:{manager.port(manager.http)}/livez",
                                    timeout=WAIT_S) as answer:
            if answer.status != 200:
                fail(f"/livez: {answer.status}")
        list_workflows(manager, programs)
        check_engine_restart(manager)
        list_workflows(manager, programs)
        check_watchdog(manager)
        check_upgrade(manager, programs)
        os.kill(manager.pid, signal.SIGHUP)
        text = manager.wait_told("RELOADING=1")
        if not text.split("\n")[1].startswith("MONOTONIC_USEC="):
            fail(text)
        manager.wait_told("READY=1")
        code = manager.end()
        if code != 0:
            fail(f"exit {code}")
    except BaseException:
        with open(os.path.join(folder, "log")) as file:
            print(file.read())
        raise
    finally:
        if manager.pid:
            os.kill(manager.pid, signal.SIGKILL)
            os.waitpid(manager.pid, 0)


def main():
    with tempfile.TemporaryDirectory(prefix="argosy-manager-") as folder:
        check(os.path.abspath(sys.argv[1]), folder)


main()
