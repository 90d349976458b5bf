"""A MicroPython board on a serial port, spoken to through mpremote.

mpremote is used as a library, its version pinned: one connection serves all steps, an error comes
as an exception with its errno instead of as text to be parsed, and the file transfer is the very
one of its command line. What the board itself has to do is _ON_BOARD.
"""

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import serial.tools.list_ports
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tools import ToolError

# Longest wait for one byte; mpremote's own time limits count in these steps on a pseudo-terminal.
_READ_S = 2
# How long a board may take to show its prompt, which it may first have to boot for.
_ANSWER_S = 8
# While a board is written to, nothing feeds the watchdog that the interrupted firmware started,
# and it cannot be stopped. Started anew, it takes the new time: long enough for a deployment, and
# a board whose cable was pulled is back after it.
_WATCHDOG_MS = 600_000

_ON_BOARD = """
import binascii, hashlib, os, sys

def _walk(path):
    try:
        is_folder = os.stat(path)[0] & 0x4000
    except OSError:
        return
    if not is_folder:
        yield path
        return
    for name in os.listdir(path):
        yield from _walk(path + "/" + name)

def _hash(path):
    sha = hashlib.sha256()
    buffer = bytearray(512)
    with open(path, "rb") as file:
        while True:
            n = file.readinto(buffer)
            if not n:
                return binascii.hexlify(sha.digest()).decode()
            sha.update(memoryview(buffer)[:n])

def _hashes(paths):
    for path in paths:
        for found in _walk(path):
            print(_hash(found), found)

def _frozen(module):
    path = sys.path[:]
    sys.path[:] = [".frozen"]
    try:
        __import__(module)
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path

def _parent(path):
    return path.rpartition("/")[0]

def _make_folders(path):
    if path:
        _make_folders(_parent(path))
        try:
            os.mkdir(path)
        except OSError:
            pass

def _remove(path):
    os.remove(path)
    folder = _parent(path)
    while folder and not os.listdir(folder):
        os.rmdir(folder)
        folder = _parent(folder)

def _clear(folder):
    for path in list(_walk(folder)):
        os.remove(path)
    try:
        os.rmdir(folder)
    except OSError:
        pass
"""


class BoardError(ToolError):
    """The board cannot be reached or did not do what it was asked; the text says what to do."""


class Board:
    """An open connection. The firmware that ran there is stopped; `reset` starts it again.

    Paths are relative to the board's root. Every method raises BoardError.
    """

    def __init__(self, port: str) -> None:
        self.port = port
        self._transport = _open(port)
        try:
            with self._telling("start"):
                self._enter()
                self.platform: str = self._eval("__import__('sys').platform")
                if self.platform == "esp32":
                    self._exec(f"import machine; machine.WDT(timeout={_WATCHDOG_MS})")
                if not self.is_unix_port:
                    # Gives back the memory of the firmware that was interrupted.
                    self._enter(soft_reset=True)
                self._exec(_ON_BOARD)
        except BaseException:
            self.close()
            raise

    @property
    def is_unix_port(self) -> bool:
        """Whether this is MicroPython's unix port on a pseudo-terminal; it cannot be reset."""
        return self.platform in ("linux", "darwin")

    def bytecode_version(self) -> int:
        """The version of .mpy files that this MicroPython loads."""
        with self._telling("say which bytecode it loads"):
            return self._eval("getattr(sys.implementation, '_mpy', 0) & 0xff")

    def has_frozen(self, module: str) -> bool:
        """Whether the module is part of the board's MicroPython itself."""
        with self._telling(f"look for {module}"):
            return self._eval(f"_frozen({module!r})")

    def hashes(self, paths: Iterable[str]) -> dict[str, str]:
        """The SHA-256, in hexadecimal, of every file in these files and folders."""
        with self._telling("compute the hashes of its files"):
            lines = self._exec(f"_hashes({list(paths)!r})").decode().splitlines()
        return {path: sha for sha, path in (line.split(" ", 1) for line in lines)}

    def write(self, path: str, data: bytes, progress: Callable[[int, int], None]) -> None:
        """Write a file; `progress` is called with the bytes done and their total."""
        with self._telling(f"write {path}"):
            self._exec(f"_make_folders(_parent({path!r}))")
            self._transport.fs_writefile(path, data, progress_callback=progress)

    def move(self, source: str, target: str) -> None:
        """Put a file in its place, replacing what is there in one step."""
        with self._telling(f"move a file to {target}"):
            self._exec(f"_make_folders(_parent({target!r})); os.rename({source!r}, {target!r})")

    def remove(self, path: str) -> None:
        """Remove a file, and the folders that this leaves empty."""
        with self._telling(f"remove {path}"):
            self._exec(f"_remove({path!r})")

    def clear(self, folder: str) -> None:
        """Remove a folder of files, if it is there."""
        with self._telling(f"remove {folder}"):
            self._exec(f"_clear({folder!r})")

    def reset(self) -> None:
        """Restart the board as its reset button does. The connection is of no use afterwards."""
        with self._telling("restart"):
            # A command that was cut short may still be waiting for its end.
            self._enter()
            self._transport.exec_raw_no_follow("import machine; machine.reset()")

    def close(self) -> None:
        with contextlib.suppress(TransportError, OSError):
            if self._transport.in_raw_repl:
                self._transport.exit_raw_repl()
        with contextlib.suppress(OSError):
            self._transport.close()

    def _enter(self, soft_reset: bool = False) -> None:
        # mpremote prints what it read in place of the prompt; the error below says it better.
        with contextlib.redirect_stdout(io.StringIO()) as heard:
            try:
                self._transport.enter_raw_repl(soft_reset=soft_reset, timeout_overall=_ANSWER_S)
            except TransportError:
                answer = "answers, but not as MicroPython does"
                if heard.getvalue().strip() in ("", "b''"):
                    answer = "does not answer"
                raise BoardError(
                    f"{self.port}: the board {answer}. Is it the right port, is MicroPython on "
                    "the board, and is no other program using the port?"
                ) from None

    def _exec(self, command: str) -> bytes:
        return self._transport.exec(command)

    def _eval(self, expression: str):
        return self._transport.eval(expression)

    @contextlib.contextmanager
    def _telling(self, task: str) -> Iterator[None]:
        """Turn what mpremote raises into BoardError, naming what was being done."""
        try:
            yield
        except TransportExecError as error:
            reason = error.error_output.strip().splitlines()[-1:]
            raise BoardError(
                f"{self.port}: the board could not {task}: {''.join(reason)}"
            ) from error
        except (TransportError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise BoardError(
                    f"{self.port}: the board's file system is full; it could not {task}. "
                    "Remove files that are not needed, for example with mpremote"
                ) from error
            raise BoardError(
                f"{self.port}: the connection was lost while the board was to {task}: {error}"
            ) from error


def _open(port: str) -> SerialTransport:
    if not Path(port).exists():
        known = sorted(found.device for found in serial.tools.list_ports.comports())
        there = "there are " + ", ".join(known) if known else "no serial port was found"
        raise BoardError(f"{port}: no such port; {there}")
    if not os.access(port, os.R_OK | os.W_OK):
        raise BoardError(
            f"{port}: not allowed for this user; on most Linux systems membership in the group "
            "dialout helps"
        )
    try:
        return SerialTransport(port, baudrate=115200, timeout=_READ_S)
    except (TransportError, OSError):
        raise BoardError(
            f"{port}: cannot be opened as a serial port; is another program using it?"
        ) from None
