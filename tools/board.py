"""A MicroPython board on a serial port, spoken to through mpremote.

mpremote is used as a library, its version pinned: one connection serves all steps, an error comes
as an exception with its errno instead of as text to be parsed, and the file transfer is the very
one of its command line. What the board itself has to do is in on_board/.
"""

import contextlib
import errno
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import serial.tools.list_ports
from mpremote.commands import CommandError, do_romfs
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from tools import ToolError
from tools.facts import Facts

Progress = Callable[[int], None]
"""Called with the amount done so far: bytes, or files."""

# Longest wait for one byte; mpremote's own time limits count in these steps on a pseudo-terminal.
_READ_S = 2
# How long a board may take to show its prompt, which it may first have to boot for.
_ANSWER_S = 8
# How long code that runs there may print nothing: joining a Wi-Fi takes a minute.
_SILENCE_S = 90
# While a board is written to, nothing feeds the watchdog that the interrupted firmware started,
# and it cannot be stopped. Started anew, it takes the new time: long enough for a deployment, and
# a board whose cable was pulled is back after it.
_WATCHDOG_MS = 600_000

_ON_BOARD = Path(__file__).with_name("on_board")


MAKE_ROOM = "Remove files that are not needed, for example with mpremote"


class BoardError(ToolError):
    """The board cannot be reached or did not do what it was asked; the text says what to do."""


class Board:
    """An open connection. The firmware that ran there is stopped; `reset` starts it again.

    Paths are relative to the board's root. Every method raises BoardError.
    """

    def __init__(self, port: str, restart: bool = False) -> None:
        """restart: also after a failure, or Ctrl-C, in a `with`."""
        self.port = port
        self._restart = restart
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
                for name in ("helpers.py", "finish.py"):
                    self._exec((_ON_BOARD / name).read_text())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is not None and self._restart and not self.is_unix_port:
                self.reset()
        except BoardError as lost:
            raise BoardError(
                f"{error or lost}. Its firmware stands still: the board's button EN or RST starts "
                f"it, or its watchdog, {_WATCHDOG_MS // 60000} minutes after it was stopped"
            ) from error
        finally:
            self.close()

    @property
    def is_unix_port(self) -> bool:
        """Whether this is MicroPython's unix port on a pseudo-terminal; it cannot be reset."""
        return self.platform in ("linux", "darwin")

    def facts(self) -> Facts:
        """What the board says of itself."""
        with self._telling("say what it is"):
            return Facts(**self._eval("_facts()"))

    def hashes(self, paths: Iterable[str], progress: Progress = lambda n: None) -> dict[str, str]:
        """The SHA-256, in hexadecimal, of every file in these files and folders."""
        with self._telling("compute the hashes of its files"):
            lines = self._follow(f"_hashes({list(paths)!r})", progress)
        return {path: sha for sha, path in (line.split(" ", 1) for line in lines)}

    def names(self) -> list[str]:
        """What stands in the root of its file system."""
        with self._telling("list its files"):
            return self._eval("[found for found in os.listdir() if found not in _MOUNTED]")

    def read(self, path: str, progress: Progress = lambda n: None) -> bytes:
        """The contents of a file."""
        with self._telling(f"read {path}"):
            return self._transport.fs_readfile(
                path, progress_callback=lambda done, _: progress(done)
            )

    def free(self) -> int:
        """Bytes that are free on the file system."""
        with self._telling("say what is free on its file system"):
            return self._eval("(lambda s: s[1] * s[3])(os.statvfs(os.getcwd()))")

    def write(self, path: str, data: bytes, progress: Progress) -> None:
        """Write a file."""
        with self._telling(f"write {path}"):
            self._exec(f"_make_folders(_parent({path!r}))")
            self._transport.fs_writefile(
                path, data, progress_callback=lambda done, _: progress(done)
            )

    def copy(self, folder: str, target: str, without: Iterable[str], progress: Progress) -> None:
        """Copy the files of a folder, but for some, to the same paths below `target`."""
        with self._telling(f"copy {folder}"):
            self._follow(f"_copy_files({folder!r}, {target + '/'!r}, {list(without)!r})", progress)

    def make_folder(self, path: str) -> None:
        """Make a folder and those that it is in, if they are not there."""
        with self._telling(f"make the folder {path}"):
            self._exec(f"_make_folders({path!r})")

    def settle(self) -> None:
        """Make the renames that follow short."""
        with self._telling("put its root folder in order"):
            self._exec("_settle()")

    def can_finish(self) -> bool:
        """Whether the board's boot.py finishes a deployment that was cut off."""
        with self._telling("read its boot.py"):
            return self._eval("_can_finish()")

    def finish_cut_off(self) -> None:
        """Finish a deployment that was cut off when all of it was on the board."""
        with self._telling("finish an earlier deployment"):
            self._exec("_finish_cut_off()")

    def step(self, source: str, target: str | None) -> None:
        """Put a file or folder in its place in one step; without a target, remove the file."""
        with self._telling(f"put {target} in its place" if target else f"remove {source}"):
            self._exec(f"_step({source!r}, {target!r})")

    def clear(self, path: str, progress: Progress = lambda n: None) -> None:
        """Remove a file or folder, if it is there."""
        with self._telling(f"remove {path}"):
            self._follow(f"_clear({path!r})", progress)

    def rom_hash(self, size: int) -> str:
        """The SHA-256, in hexadecimal, of the first bytes of the ROMFS partition."""
        with self._telling("read its ROMFS partition"):
            return self._eval(f"_rom_hash({size})")

    def write_rom(self, image: bytes, progress: Progress) -> None:
        """Write an image to the ROMFS partition, as `mpremote romfs deploy` does."""
        state = SimpleNamespace(
            transport=self._transport, ensure_raw_repl=lambda: None, did_action=lambda: None
        )
        with (
            self._telling("write its ROMFS partition"),
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(_Offsets(progress)),
        ):
            path = Path(folder) / "firmware.romfs"
            path.write_bytes(image)
            do_romfs(state, SimpleNamespace(command=["deploy"], path=str(path), partition=0))

    def has(self, module: str) -> bool:
        """Whether it can import a module; it does."""
        with self._telling(f"import {module}"):
            return self._eval(f"_can_import({module!r})")

    def run(self, code: str, hear: Callable[[str], str | None]) -> None:
        """Run code, tell `hear` each line that it prints, and send back what that returns.

        Ctrl-C stops the code on the board, too.
        """
        line = bytearray()

        def take(data: bytes) -> None:
            if data != b"\n":
                line.extend(data.strip(b"\r\x04"))
                return
            answer = hear(line.decode("utf-8", "replace"))
            line.clear()
            if answer is not None:
                self._transport.serial.write(answer.encode() + b"\n")

        with self._telling("do what it was asked"):
            try:
                _, error = self._transport.exec_raw(code, timeout=_SILENCE_S, data_consumer=take)
            except KeyboardInterrupt:
                self.interrupt()
                raise
            if error:
                raise TransportExecError("", error.decode())

    def interrupt(self) -> None:
        """Stop what the board is doing; the connection can be used again."""
        with self._telling("stop"):
            self._enter()
            self._exec("try:\n f.close()\nexcept (NameError, OSError):\n pass")

    def reset(self) -> None:
        """Restart the board as its reset button does. The connection is of no use afterwards.

        The unix port cannot be restarted, and stays as it is.
        """
        if self.is_unix_port:
            return
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

    def _exec(self, command: str, consumer: Callable[[bytes], None] | None = None) -> bytes:
        return self._transport.exec(command, data_consumer=consumer)

    def _follow(self, command: str, progress: Progress) -> list[str]:
        """The lines that a command prints; `progress` is told how many there are so far."""
        heard = bytearray()

        def hear(data: bytes) -> None:
            heard.extend(data)
            if data == b"\n":
                progress(heard.count(b"\n"))

        self._exec(command, hear)
        return heard.strip(b"\x04").decode().splitlines()

    def _eval(self, expression: str):
        return self._transport.eval(expression)

    @contextlib.contextmanager
    def _telling(self, task: str) -> Iterator[None]:
        """Turn what mpremote raises into BoardError, naming what was being done."""
        try:
            yield
        except TransportExecError as error:
            if "ENOSPC" in error.error_output:
                raise self._full(task) from error
            reason = error.error_output.strip().splitlines()[-1:]
            raise BoardError(
                f"{self.port}: the board could not {task}: {''.join(reason)}"
            ) from error
        except CommandError as error:
            raise BoardError(f"{self.port}: the board could not {task}: {error}") from error
        except (TransportError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise self._full(task) from error
            raise BoardError(
                f"{self.port}: the connection was lost while the board was to {task}: {error}"
            ) from error

    def _full(self, task: str) -> BoardError:
        return BoardError(
            f"{self.port}: the board's file system is full; it could not {task}. {MAKE_ROOM}"
        )


class _Offsets(io.TextIOBase):
    """Takes the place of standard output while mpremote tells at which offset it writes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def write(self, text: str) -> int:
        found = re.search(r"Writing at offset (\d+)", text)
        if found:
            self._progress(int(found[1]))
        return len(text)


def no_such(port: str) -> str:
    """What is told of a port that is not there."""
    known = sorted(found.device for found in serial.tools.list_ports.comports())
    there = "there are " + ", ".join(known) if known else "no serial port was found"
    return f"{port}: no such port; {there}"


def _open(port: str) -> SerialTransport:
    if not Path(port).exists():
        raise BoardError(no_such(port))
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
