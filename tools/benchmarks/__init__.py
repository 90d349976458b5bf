"""What `csipio bench` measures: a module a subject, each with `rows(job) -> list[Row]`.

A subject that has to be measured inside MicroPython has a script of the same name in `inside/`,
which finds the firmware's modules on its path and prints its figures as one line of JSON. A new
subject is a module here, and its name in `tools.bench.SUBJECTS`.
"""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools import ROOT, ToolError, micropython

_INSIDE = Path(__file__).with_name("inside")
_WITHIN_S = 120


class BenchmarkError(ToolError):
    """A measurement could not be made; the text says which, and the script's last words."""


@dataclasses.dataclass
class Row:
    """One figure, and what it is held against."""

    name: str
    measured: float
    unit: str
    against: str  # what people use today, with its own figure where there is one
    budget: float | None = None  # at most; None for a figure that is only told
    timing: bool = False  # depends on what else this machine does

    @property
    def verdict(self) -> str:
        """`ok`, `over`, `slow` (a timing over its budget, which another run may disprove), `-`."""
        if self.budget is None:
            return "-"
        if self.measured <= self.budget:
            return "ok"
        return "slow" if self.timing else "over"


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
                env=micropython.environment([ROOT, ROOT / "lib"]),
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
