"""MicroPython's unix port at the other end of a serial line, and the files that it holds."""

import contextlib
import fcntl
import os
import select
import subprocess
import termios
import time
import tty

from tools import micropython

CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "do-not-print-me"},
    "mqtt": {"url": "mqtts://localhost:8883"},
    "https": {"url": "https://localhost/v3"},
    "tls": {"ca": "certs/ca.pem"},
}
# Nothing of it can be reached: what is tried fails at once.
UNREACHABLE = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "hunter2"},
    "mqtt": {"url": "mqtt://127.0.0.1:9"},
    "https": {"url": "http://127.0.0.1:9/v3"},
    "time": {"ntp": []},
}
# What MicroPython takes for a flash, in its own memory.
BLOCKS = """
class Blocks:
    def __init__(self, data):
        self.data = data

    def readblocks(self, block, buffer, offset=0):
        start = block * 4096 + offset
        buffer[:] = memoryview(self.data)[start:start + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        start = block * 4096 + (offset or 0)
        self.data[start:start + len(buffer)] = buffer

    def ioctl(self, op, arg):
        return {4: len(self.data) // 4096, 5: 4096}.get(op, 0)
"""
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@contextlib.contextmanager
def port(command, folder, path=()):
    """Run a command on a pseudo-terminal in `folder`; the name of the terminal's other end."""
    ours, theirs = os.openpty()
    # The process gets the end that has no name, as a board has; mpremote opens the other.
    with open(ours, "wb"), open(theirs, "wb") as terminal:
        tty.setraw(terminal)
        process = subprocess.Popen(
            command,
            stdin=ours,
            stdout=ours,
            stderr=ours,
            cwd=folder,
            env=micropython.environment(path),
        )
        try:
            yield os.ttyname(theirs)
        finally:
            process.kill()
            process.wait()


def files(folder):
    """The contents of all files below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Terminal:
    """A person's terminal: a program in its foreground, whose Ctrl-C is a signal, and which echoes
    what is typed while no program takes care of that.

    said: all that was shown since it was last looked at.
    """

    def __init__(self, command, folder, path=()):
        self._ours, theirs = os.openpty()
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=micropython.environment(path),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.said = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def type(self, line: str) -> None:
        """A line, as soon as the program takes the keys one by one and echoes them itself."""
        end = time.monotonic() + 30
        while termios.tcgetattr(self._ours)[3] & termios.ICANON:
            assert time.monotonic() < end, f"nothing is asked; shown was:\n{self.said}"
            time.sleep(0.01)
        self.press(line + "\r")

    def until(self, words: str, seconds: float = 30) -> str:
        """What was shown up to these words, which come within that time."""
        end = time.monotonic() + seconds
        while words not in self.said:
            left = end - time.monotonic()
            if left < 0 or not select.select([self._ours], [], [], left)[0]:
                raise AssertionError(f"{words!r} was not shown within {seconds} s:\n{self.said}")
            found = os.read(self._ours, 4096).decode(errors="replace")
            self.said += found.replace("\r", "")
        before, _, self.said = self.said.partition(words)
        return before

    def answer(self, question: str, answer: str) -> str:
        """Type an answer once the question is there; what was shown before that."""
        shown = self.until(question)
        self.type(answer)
        return shown

    def run(self, line: str) -> str:
        """What a line at the prompt prints, until the prompt is there again."""
        self.type(line)
        self.until(line)
        return self.until(">>> ").strip()


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
