"""What `csipio bench` measures: a module a subject, each with `rows(job) -> list[Row]`.

A subject that has to be measured inside MicroPython has a script of the same name in `inside/`,
which finds the firmware's modules on its path and prints its figures as one line of JSON. A new
subject is a module here, and its name in `tools.bench.SUBJECTS`.
"""

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tools import ROOT, ToolError, micropython, vendor

_INSIDE = Path(__file__).with_name("inside")
_WITHIN_S = 120
# The peers' own come first: their umqtt is two modules in one folder.
_PATH = (vendor.PEERS, ROOT, ROOT / "lib")


class BenchmarkError(ToolError):
    """A measurement could not be made; the text says which, and the script's last words."""


@dataclasses.dataclass
class Row:
    """One figure, and what it is held against."""

    name: str
    measured: float
    unit: str
    against: str  # what people use today, where `peers` cannot say it
    budget: float | None = None  # or a goal: at most; None for a figure that is only told
    timing: bool = False  # depends on what else this machine does
    least: bool = False  # the budget is at least, and more is better
    peers: dict[str, float] = dataclasses.field(default_factory=dict)  # the same of others

    @property
    def verdict(self) -> str:
        """`ok`, `over`, `slow` (a timing over its budget, which another run may disprove), `-`."""
        if self.budget is None:
            return "-"
        kept = self.measured >= self.budget if self.least else self.measured <= self.budget
        if kept:
            return "ok"
        return "slow" if self.timing else "over"

    @property
    def better(self) -> list[str]:
        """The peers whose figure is better; of a ratio, what it is held against."""
        if self.unit == "×" and self.measured > 1:
            return [self.against.partition(":")[0]]
        sign = -1 if self.least else 1
        return [name for name, other in self.peers.items() if sign * other < sign * self.measured]

    @property
    def told(self) -> str:
        """The figure, in words."""
        return f"{figure(self.measured)} {self.unit}"

    @property
    def wanted(self) -> str:
        """The budget, in words; empty without one."""
        if self.budget is None:
            return ""
        return f"{'≥' if self.least else '≤'} {figure(self.budget)} {self.unit}"

    @property
    def others(self) -> str:
        """What is told of the others."""
        peers = [f"{name}: {figure(other)} {self.unit}" for name, other in self.peers.items()]
        return "; ".join([*peers, self.against] if self.against else peers)


def figure(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


@dataclasses.dataclass
class Job:
    """What every measurement gets."""

    folder: Path  # temporary, and empty at first
    quick: bool  # few repetitions, no search: to see that it works
    note: Callable[[str], None]  # tells the person who waits what is being done

    def inside(self, subject: str, *arguments: object, heap: str | None = None) -> dict:
        """Run inside/<subject>.py under MicroPython; its figures. Raises BenchmarkError."""
        script = _INSIDE / f"{subject}.py"
        try:
            done = subprocess.run(
                micropython.command(script, *arguments, heap=heap),
                env=micropython.environment(_PATH),
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=_WITHIN_S,
            )
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{script.name}: no figures after {_WITHIN_S} s") from None
        lines = done.stdout.splitlines()
        if done.returncode != 0 or not lines:
            raise BenchmarkError(f"{script.name}: {(done.stderr or done.stdout).strip()}")
        return json.loads(lines[-1])

    @contextlib.contextmanager
    def running(self, subject: str, *arguments: object) -> Iterator[None]:
        """Run it meanwhile, one that does not end by itself. Raises BenchmarkError if it did."""
        script = _INSIDE / f"{subject}.py"
        with subprocess.Popen(
            micropython.command(script, *arguments),
            env=micropython.environment(_PATH),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield
            finally:
                ended = process.poll() is not None
                process.kill()
                said = process.stdout.read().strip()
                if ended:  # whatever else that has led to
                    raise BenchmarkError(f"{script.name} ended: {said}")


def smallest(low: int, high: int, step: int, suffices: Callable[[int], bool]) -> int | None:
    """The smallest of low, low + step, … high that suffices, if all above it do; else None."""
    if not suffices(high):
        return None
    while low < high:
        middle = low + (high - low) // step // 2 * step
        if suffices(middle):
            high = middle
        else:
            low = middle + step
    return high
