"""A MicroPython process and its console: Ctrl-C goes in as on a serial line, places come out as
those of the sources.

The unix port raises KeyboardInterrupt out of the signal's handler, wherever the program is: a lock
that is held then, of the collector or of the table of strings, is never given back, and the
program hangs. So the interpreter is in a process group of its own, where a terminal's Ctrl-C does
not reach it, and is sent the byte that a serial line would send. `tools/device.py` starts who
listens for it, between two steps of the event loop.

A traceback tells the lines of a linked unit. They are translated as they pass. Nothing is held
back but the line that may become one of those.
"""

import array
import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

from tools import linker

CTRL_C = b"\x03"
# A program that sleeps so long without reading it has no event loop, or waits outside of it. One
# that works may be starting, however slow the machine is.
_ASLEEP_S = 1.0
_UNHEARD_S = 20.0
_LOOK_S = 0.1
_PLACE = b'  File "'  # the beginning of what is translated
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LINUX = ctypes.CDLL(None) if sys.platform == "linux" else None


class Console:
    """MicroPython as a child process, from `argv` and `environ`, in `folder`.

    `places`: where the lines of its tracebacks come from. Its output goes to `out` and `err`, file
    descriptors; to `out` all of it where `err` is None. To be made in the main thread, with whose
    end it is killed.
    """

    def __init__(
        self,
        argv: list[str],
        environ: dict[str, str],
        folder: Path,
        places: linker.Places,
        out: int,
        err: int | None = None,
    ):
        self._heard, self._line = os.pipe()
        self._process = subprocess.Popen(
            argv,
            cwd=folder,
            env=environ,
            stdin=self._heard,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if err is None else subprocess.PIPE,
            process_group=0,
            preexec_fn=_die_with_parent,
        )
        self._pumps = []
        for source, target in ((self._process.stdout, out), (self._process.stderr, err)):
            if source is not None:
                pump = threading.Thread(target=_pump, args=(source, target, places), daemon=True)
                pump.start()
                self._pumps.append(pump)
        self.told: list[int] = []  # the signals that are meant for it
        self.pid = self._process.pid

    def interrupt(self) -> None:
        """Ctrl-C. One that nobody hears is followed by a SIGINT. So is a second one, at once."""
        asked = signal.SIGINT in self.told
        self.told.append(signal.SIGINT)
        if asked:
            self._process.send_signal(signal.SIGINT)
            return
        os.write(self._line, CTRL_C)
        threading.Thread(target=self._insist, daemon=True).start()

    def _insist(self) -> None:
        began = awake = time.monotonic()
        while self._process.poll() is None and self._unread():
            now = time.monotonic()
            if not _sleeps(self.pid):
                awake = now
            if now - awake > _ASLEEP_S or now - began > _UNHEARD_S:
                self._process.send_signal(signal.SIGINT)
                return
            time.sleep(_LOOK_S)

    def _unread(self) -> bool:
        count = array.array("i", [0])
        fcntl.ioctl(self._heard, termios.FIONREAD, count)
        return count[0] > 0

    def send_signal(self, number: int) -> None:
        self.told.append(number)
        self._process.send_signal(number)

    def poll(self) -> int | None:
        """None while it runs, else how it ended: its exit code, or minus a signal's number."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """How it ended, once its output is where it belongs. Raises subprocess.TimeoutExpired."""
        code = self._process.wait(timeout_s)
        for pump in self._pumps:
            pump.join(timeout_s)
        return code

    def close(self) -> None:
        """To be called once it has ended."""
        os.close(self._heard)
        os.close(self._line)


def attend(
    argv: list[str],
    environ: dict[str, str],
    folder: Path,
    places: linker.Places,
    again: int | None = None,
) -> int:
    """Run MicroPython on this process's own output, whose signals are its own; how it ended.

    again: the exit code with which it asks to be run once more.
    """
    console: Console | None = None
    early: list[int] = []

    def tell(number: int, _: object = None) -> None:
        if console is None:
            early.append(number)
        elif number == signal.SIGINT:
            console.interrupt()
        else:
            console.send_signal(number)

    for number in (signal.SIGINT, *_PASSED_ON):
        signal.signal(number, tell)
    out, err = sys.stdout.fileno(), sys.stderr.fileno()
    same = os.path.samestat(os.fstat(out), os.fstat(err))
    while True:
        console = Console(argv, environ, folder, places, out, None if same else err)
        while early:
            tell(early.pop(0))
        code = console.wait()
        if code != again:
            return code
        last, console = console, None
        # What came too late for it is for the next one.
        early.extend(last.told)
        last.close()


def end_like(code: int) -> None:
    """End this process as another one ended."""
    if code < 0:
        with contextlib.suppress(OSError):  # nobody can handle SIGKILL
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


class Translator:
    """A stream's pieces, of any length, with the places in units as those in the sources."""

    def __init__(self, places: linker.Places):
        self._places = places
        self._kept = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown by now; at the end of the stream, for b"", what was kept."""
        *whole, last = (self._kept + piece).split(b"\n")
        shown = [self._translated(line) + b"\n" for line in whole]
        may_be_one = piece and last and (last.startswith(_PLACE) or _PLACE.startswith(last))
        self._kept = last if may_be_one else b""
        return b"".join(shown) + (b"" if may_be_one else self._translated(last))

    def _translated(self, line: bytes) -> bytes:
        if not line.startswith(_PLACE):
            return line
        text = line.decode(errors="surrogateescape")
        return linker.translated(text, self._places).encode(errors="surrogateescape")


def _pump(source, target: int, places: linker.Places) -> None:
    translator = Translator(places)
    with source:
        while True:
            piece = os.read(source.fileno(), 65536)
            shown = translator.feed(piece)
            try:
                while shown:
                    shown = shown[os.write(target, shown) :]
            except OSError:  # nobody reads it any more; the child learns of that by itself
                return
            if not piece:
                return


def _sleeps(pid: int) -> bool:
    """Whether a process waits for something. Not known outside of Linux."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] == "S"


def _die_with_parent() -> None:
    """On Linux: who kills `csipio device` has killed the firmware."""
    if _LINUX is not None:
        _LINUX.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
