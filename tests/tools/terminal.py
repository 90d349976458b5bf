"""MicroPython's unix port at the other end of a serial line, and the files that it holds."""

import contextlib
import os
import subprocess
import tty

from tools import micropython

CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": "do-not-print-me"},
    "mqtt": {"url": "mqtts://localhost:8883"},
    "https": {"url": "https://localhost/v3"},
    "tls": {"ca": "certs/ca.pem"},
}


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
