#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `argosy top` on a pseudo-terminal, presses keys, and looks at what it draws and leaves behind.

usage: top_terminal.py DATA_DIR
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?25h\x1b[?1049l"
WAIT_S = 30


class Top:
    """One run of the program, whose terminal we hold the other end of."""

    def __init__(self, data_dir, rows=24, columns=100):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C")
            self.resize(rows, columns, 0)
            os.execvp("argosy", ["argosy", "top", "--interval", "100ms", "--data-dir", data_dir])
        self.before = termios.tcgetattr(self.fd)
        self.expect(ENTER)
        self.expect(b"workers ready")

    def resize(self, rows, columns, fd=None):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ, size)

    def read(self):
        """More output; False when the program has let go of the terminal."""
        ready, _, _ = select.select([self.fd], [], [], WAIT_S)
        assert ready, "nothing is drawn any more"
        try:
            more = os.read(self.fd, 65536)
        except OSError:
            return False
        self.output += more
        return bool(more)

    def expect(self, text):
        """Waits for text in what is drawn from now on."""
        end = time.monotonic() + WAIT_S
        while text not in self.output:
            assert time.monotonic() < end and self.read(), f"no {text!r} in {self.output[-2000:]!r}"
        self.output = self.output.split(text, 1)[1]

    def press(self, keys, text):
        self.output = b""
        os.write(self.fd, keys)
        self.expect(text)

    def expect_end(self):
        """The program ends, with the terminal as it was; returns how."""
        # What it wrote last is read while the terminal still exists.
        while LEAVE not in self.output:
            assert self.read(), f"the terminal was not given back: {self.output[-200:]!r}"
        after = termios.tcgetattr(self.fd)
        assert after[3] == self.before[3], "keys are not what they were"
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return status


def keys(data_dir):
    top = Top(data_dir)
    top.press(b"2", b"2 queues")
    top.press(b"3", b"sort: name")
    top.press(b"s", b"sort: cpu")
    top.press(b"p", b"paused")
    top.press(b"p", b"p pause")
    top.press(b"\t", b"BUSY")  # GPUs: there are none, and their heads
    top.press(b"\x1b[C", b"QUEUE")
    top.press(b"\x1b[D", b"BUSY")
    top.press(b"\x1b", b"BUSY")  # escape alone is no key of ours
    os.write(top.fd, b"q")
    assert top.expect_end() == 0


def resizes(data_dir):
    top = Top(data_dir)
    for columns in (40, 130):
        top.resize(12, columns)
        # Two whole frames later all that is drawn is of the new size.
        for _ in range(3):
            top.output = b""
            top.expect(b"\x1b[J")
            top.expect(b"\x1b[J")
        frame = b""
        while not frame:
            assert top.read()
            found = re.search(rb"\x1b\[H(.*?)\x1b\[J", top.output, re.S)
            frame = found.group(1) if found else b""
        lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", frame).replace(b"\r", b"").split(b"\n")
        assert len(lines) <= 12 and max(map(len, lines)) <= columns, lines
        assert (b"RESTARTS" in frame) == (columns > 100)
    os.write(top.fd, b"q")
    assert top.expect_end() == 0


def signals(data_dir):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV,
                   signal.SIGABRT):
        top = Top(data_dir)
        os.kill(top.pid, number)
        status = top.expect_end()
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, (number, status)
    # Control-C is a signal, too.
    top = Top(data_dir)
    os.write(top.fd, b"\x03")
    status = top.expect_end()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT


def stops(data_dir):
    top = Top(data_dir)
    top.output = b""
    os.write(top.fd, b"\x1a")  # control-Z
    top.expect(LEAVE)
    _, status = os.waitpid(top.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(top.pid, signal.SIGCONT)
    top.expect(ENTER)
    top.expect(b"workers ready")
    os.write(top.fd, b"q")
    assert top.expect_end() == 0


def main():
    for test in (keys, resizes, signals, stops):
        print(test.__name__, flush=True)
        test(sys.argv[1])


main()
