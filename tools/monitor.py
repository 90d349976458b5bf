"""Show what a board prints: the log, each line with the wall clock's time, coloured by its level.

The port is opened anew when the cable was pulled, or the board was reset through its USB. Ctrl-]
ends it, as in mpremote; every other key goes to the board, so Ctrl-C gets its prompt.
"""

import codecs
import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

import serial
from rich.console import Console
from rich.text import Text

from tools import ToolError

_BAUD = 115200
_END = b"\x1d"  # Ctrl-]
_STYLES = {"D": "dim", "I": "", "W": "yellow", "E": "bold red"}
# `      12.345 W uplink: …`: seconds since the start, level, who speaks.
_LINE = re.compile(r"^ *\d+\.\d{3} ([DIWE]) ")
_READ_S = 0.1
_AGAIN_S = 0.5
_PARTIAL_S = 0.3  # a line without its end, such as a prompt, is shown after this


class MonitorError(ToolError):
    """The port cannot be watched; the text says why."""


class Lines:
    """Cuts what comes in into lines, and shows each with the time at which it began."""

    def __init__(self, show: Callable[[str, str, bool], None]) -> None:
        """`show(time, text, ends)`: called with each line, or with a part that has not ended."""
        self._show = show
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._shown = 0
        self._began = 0.0
        self._changed = 0.0

    def feed(self, data: bytes) -> None:
        for character in self._decoder.decode(data):
            if not self._text:
                self._began = time.time()
            if character == "\n":
                self._put(True)
            elif character != "\r":
                self._text += character
        self._changed = time.monotonic()

    def idle(self) -> None:
        """Show what waits for its end for long, such as a prompt."""
        if len(self._text) > self._shown and time.monotonic() - self._changed >= _PARTIAL_S:
            self._put(False)

    def end(self) -> None:
        """The line is cut off here."""
        if self._text:
            self._put(True)

    def _put(self, ends):
        stamp = datetime.fromtimestamp(self._began).strftime("%H:%M:%S")
        self._show("" if self._shown else stamp, self._text[self._shown :], ends)
        self._shown = len(self._text)
        if ends:
            self._text = ""
            self._shown = 0


def monitor(
    port: str,
    record: Path | None = None,
    console: Console | None = None,
    keys: TextIO = sys.stdin,
) -> None:
    """Show what comes from `port` until Ctrl-]. With `record`, it is appended to that file, too.

    Raises MonitorError where the port is not there at the start.
    """
    console = Console(highlight=False) if console is None else console
    with contextlib.ExitStack() as stack:
        try:
            written = stack.enter_context(record.open("a", encoding="utf-8")) if record else None
        except OSError as error:
            raise MonitorError(f"{record}: cannot be written: {error.strerror}") from error
        lines = Lines(lambda *line: _show(console, written, *line))
        line = _open(port)
        typed = stack.enter_context(_raw(keys))
        console.print(f"{port}: Ctrl-] ends this, Ctrl-C stops the firmware", style="dim")
        try:
            while _pass_on(line, lines, typed):
                if not line.is_open:
                    lines.end()
                    console.print(f"{port}: gone; waiting for it", style="dim")
                    if not _back(line, typed):
                        break
                    console.print(f"{port}: back", style="dim")
        finally:
            lines.end()
            line.close()


def _open(port: str) -> serial.Serial:
    line = serial.Serial()
    line.port = port
    line.baudrate = _BAUD
    line.timeout = _READ_S
    # These two reset an ESP32 on most boards.
    line.dtr = False
    line.rts = False
    try:
        line.open()
    except (serial.SerialException, OSError) as error:
        raise MonitorError(
            f"{port}: cannot be opened: {error}. Is it the right port, and is no other program "
            "using it?"
        ) from error
    return line


def _pass_on(line: serial.Serial, lines: Lines, typed: int | None) -> bool:
    """From the board to the screen, and from the keys to the board; whether to go on."""
    try:
        data = line.read(max(1, line.in_waiting))
        lines.feed(data) if data else lines.idle()
        pressed = _pressed(typed, 0)
        if _END in pressed:
            return False
        if pressed:
            line.write(pressed)
    except (serial.SerialException, OSError):
        line.close()
    return True


def _back(line: serial.Serial, typed: int | None) -> bool:
    """Wait until the port is there again; False if Ctrl-] was pressed before."""
    while True:
        if _END in _pressed(typed, _AGAIN_S):
            return False
        with contextlib.suppress(serial.SerialException, OSError):
            line.open()
            return True


def _pressed(typed: int | None, wait_s: float) -> bytes:
    if typed is None:
        time.sleep(wait_s)
        return b""
    ready, _, _ = select.select([typed], [], [], wait_s)
    return os.read(typed, 64) if ready else b""


@contextlib.contextmanager
def _raw(keys: TextIO) -> Iterator[int | None]:
    """Every key at once, Ctrl-C too; None where there is no keyboard."""
    if not keys.isatty():
        yield None
        return
    number = keys.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    now = termios.tcgetattr(number)
    now[0] &= ~termios.ICRNL  # Enter is what a board expects of it
    now[3] &= ~termios.ISIG
    termios.tcsetattr(number, termios.TCSANOW, now)
    try:
        yield number
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _show(console: Console, written: TextIO | None, stamp: str, text: str, ends: bool) -> None:
    found = _LINE.match(text)
    shown = Text().append(f"{stamp} " if stamp else "", "cyan")
    shown.append(text, _STYLES[found[1]] if found else "")
    end = "\n" if ends else ""
    console.print(shown, end=end, soft_wrap=True)
    if written:
        written.write(f"{stamp} {text}{end}" if stamp else f"{text}{end}")
        written.flush()
