"""`csipio rollout`: one release for many devices, in stages, that stops by itself.

A stage is a share of all devices. It ends when each of its devices has a result, and the next
begins only if no more than the set share of it has failed or fallen silent; as soon as more have,
no further device is sent to. What has been sent is not taken back: each device decides by itself
whether it keeps the new version.

All that is known is in one state file, which is written whole or not at all. Before a device is
sent to it is asked, so that one whose sending was not yet written down is not sent to again.
"""

import csv
import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tools import release
from tools.client import AwayError, BusyError, ClientError, KeyRefusedError
from tools.releases import Release, ReleaseError
from tools.update import CONFIRMED, Going, command, is_version

COLUMN = "device"
SILENT_S = 1800
RESULT_S = 24 * 3600
_EVERY_S = 15.0
_FEW = 10  # a stage of so many may have one that fails, however small the share

# SENDING: the stage has begun, so the command may have been sent.
WAITING, SENDING, SENT = "waiting", "sending", "sent"
WELL, FAILED, SILENT = "confirmed", "failed", "silent"
_OPEN = (WAITING, SENDING, SENT)
_BAD = (FAILED, SILENT)


class RolloutError(ReleaseError):
    """The roll-out cannot begin or go on; the text says why."""


@dataclass
class Device:
    """What is known of one device."""

    state: str = WAITING
    sent_s: float = 0.0
    heard_s: float = 0.0  # when something of it changed last
    mark: str = ""  # a hash of all that it has told
    text: str = ""
    verdict: str = ""  # its `lastcommand` before the command was sent


@dataclass(frozen=True)
class Rules:
    """When a roll-out goes on."""

    stages: tuple[float, ...]  # shares of all devices, 0 to 1, the last of which is 1 or less
    stop_at: float  # share of a stage
    silent_s: float = SILENT_S
    result_s: float = RESULT_S

    def stage_ends(self, devices: int) -> list[int]:
        """How many devices each stage has reached at its end; each has at least one of its own."""
        ends: list[int] = []
        for share in self.stages:
            end = min(devices, math.ceil(round(devices * share, 6)))
            if end > (ends[-1] if ends else 0):
                ends.append(end)
        return ends

    def may_fail(self, size: int) -> int:
        """How many devices of a stage of this size may fail before the roll-out stops."""
        return max(int(round(size * self.stop_at, 6)), int(size >= _FEW and self.stop_at > 0))


class Rollout:
    """The roll-out itself: `step` may be called again and again, until it says that it is over.

    Time is handed in; `client` has read and write as tools.client.Client; `save` keeps `devices`.
    """

    def __init__(self, devices: dict[str, Device], rules: Rules, made: Release, value: dict):
        self.devices = devices
        self.rules = rules
        self._made = made
        self._value = value
        self.trouble = ""
        self._unsent: set[str] = set()  # of the stage, what was certainly not sent yet
        self._free_s = -math.inf  # before it, the platform takes no more commands

    def stage(self) -> tuple[int, list[Device], list[str]]:
        """Number of the stage that is not yet over, else of the last; its devices, their names."""
        names = list(self.devices)
        start = 0
        ends = self.rules.stage_ends(len(names))
        for number, end in enumerate(ends, 1):
            part = [self.devices[name] for name in names[start:end]]
            if number == len(ends) or self._is_bad(part) or not _is_over(part):
                return number, part, names[start:end]
            start = end
        raise RolloutError("a roll-out needs a device and a stage")

    def stopped(self) -> bool:
        """Whether too many of the stage have failed or fallen silent."""
        return self._is_bad(self.stage()[1])

    def over(self) -> bool:
        """Whether no device has anything left to come."""
        _, part, _ = self.stage()
        return self._is_bad(part) or _is_over(part)

    def _is_bad(self, part: list[Device]) -> bool:
        bad = sum(device.state in _BAD for device in part)
        return bad > self.rules.may_fail(len(part))

    def step(self, client, now_s: float, save: Callable[[], None]) -> None:
        """Look after each device of the stage once. Raises KeyRefusedError.

        `trouble` says afterwards why the platform could not be asked for all, if it could not.
        """
        _, part, names = self.stage()
        self.trouble = ""
        waiting = [name for name in names if self.devices[name].state == WAITING]
        if waiting:
            for name in waiting:
                self.devices[name].state = SENDING
            self._unsent.update(waiting)
            save()  # before any of it is sent
        for name, device in zip(names, part, strict=True):
            if device.state not in _OPEN:
                continue
            try:
                self._look(client, name, device, now_s)
            except KeyRefusedError:
                raise
            except BusyError as error:
                self._free_s = now_s + error.after_s
            except AwayError as error:
                self.trouble = str(error)
                for other in part:  # that nobody can be heard is no silence of theirs
                    if other.state == SENT:
                        other.heard_s = now_s
                break
            except ClientError as error:
                device.state, device.text = FAILED, str(error)
            if device.state in _BAD and self._is_bad(part):
                break
        save()

    def _look(self, client, name, device, now_s):
        values = client.read(name)
        before = device.verdict if device.state == SENT else None
        now = Going(self._made.version, values, before)
        if device.state == SENDING:
            self._begin(client, name, device, now, now_s)
            return
        if now.result:
            device.state = WELL if now.result == CONFIRMED else FAILED
            device.text = now.result
            return
        mark = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
        if mark != device.mark:
            device.mark, device.heard_s = mark, now_s
        elif now_s - device.heard_s >= self.rules.silent_s:
            device.state = SILENT
            device.text = f"nothing heard for {now_s - device.heard_s:.0f} s"
            return
        if now_s - device.sent_s >= self.rules.result_s:
            device.state = FAILED
            device.text = f"no result in {now_s - device.sent_s:.0f} s"

    def _begin(self, client, name, device, now, now_s):
        if is_version(now.running, self._made.version) and not now.under_way:
            device.state, device.text = WELL, "ran it already"
            return
        # A result may be that of an earlier roll-out, unless something may have been sent in this.
        if not now.under_way and (name in self._unsent or not now.result):
            if now_s < self._free_s:
                return
            try:
                client.write(name, "update", self._value)
            except BusyError:
                raise
            except AwayError:  # it may have arrived
                self._unsent.discard(name)
                raise
        self._unsent.discard(name)
        device.state, device.sent_s, device.heard_s = SENT, now_s, now_s
        device.verdict = now.verdict


def _is_over(part: list[Device]) -> bool:
    return all(device.state not in _OPEN for device in part)


# -- files


def read_devices(path: Path) -> list[str]:
    """The devices of a CSV file: its column `device`, or its first where none is named so.

    Raises RolloutError.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RolloutError(f"{path}: cannot be read: {error}") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    column = 0
    if rows and COLUMN in (head := [cell.strip().lower() for cell in rows[0]]):
        column = head.index(COLUMN)
        rows = rows[1:]
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        name = row[column].strip() if column < len(row) else ""
        if not name:
            raise RolloutError(f"{path}: row {number} has no device")
        if name in names:
            raise RolloutError(f"{path}: {name} is there twice")
        names[name] = None
    if not names:
        raise RolloutError(f"{path}: has no device; expected a CSV file with the column {COLUMN}")
    return list(names)


def shares(text: str) -> tuple[float, ...]:
    """`1,10,100` as shares of all devices. Raises RolloutError."""
    found = [share(part, f"--stages {text}") for part in text.split(",")]
    if found != sorted(set(found)) or found[0] == 0:
        raise RolloutError(f"--stages {text}: expected growing per cents, such as 1,10,100")
    return tuple(found)


def share(text: str, where: str) -> float:
    """`5%` or `5` as 0.05. Raises RolloutError."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        number = -1.0
    if not 0 <= number <= 100:
        raise RolloutError(f"{where}: expected per cents from 0 to 100")
    return number / 100


class State:
    """The state file: which release goes to which devices, and how far it is."""

    def __init__(self, path: Path, made: Release):
        self.path = path
        self._release = hashlib.sha256(made.text()).hexdigest()

    def load(self, names: list[str]) -> dict[str, Device]:
        """What is known of the devices, nothing at first. Raises RolloutError."""
        if not self.path.exists():
            return {name: Device() for name in names}
        try:
            tree = json.loads(self.path.read_text())
            devices = {name: Device(**known) for name, known in tree["devices"].items()}
            release_ = tree["release"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise RolloutError(
                f"{self.path}: expected the state of a roll-out ({error}); name another --state"
            ) from None
        if release_ != self._release or list(devices) != names:
            what = "release" if release_ != self._release else "devices"
            raise RolloutError(
                f"{self.path}: is the state of a roll-out with other {what}; name another --state"
            )
        return devices

    def save(self, devices: dict[str, Device]) -> None:
        known = {name: vars(device) for name, device in devices.items()}
        text = json.dumps({"release": self._release, "devices": known}, indent=0)
        release.write_whole(self.path, text.encode())


def rollout(
    path: Path,
    names: list[str],
    client,
    rules: Rules,
    *,
    state: Path | None = None,
    url: str | None = None,
    dry_run: bool = False,
    console: Console | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Roll a release out; whether it has reached its end. Raises ToolError, KeyboardInterrupt."""
    console = Console(highlight=False, soft_wrap=True) if console is None else console
    made, image = release.read(path)
    value = command(made, url or client.releases(image.name))
    kept = State(state or image.with_name(image.name + ".rollout.json"), made)
    job = Rollout(kept.load(names), rules, made, value)
    start = 0
    for number, end in enumerate(rules.stage_ends(len(names)), 1):
        if dry_run:
            console.print(
                f"stage {number}: {end - start} devices, from {names[start]} to {names[end - 1]}; "
                f"stops at more than {rules.may_fail(end - start)} that fail or fall silent"
            )
        start = end
    if dry_run:
        console.print(f"{made.version} would go to {start} of {len(names)}; nothing was sent")
        return True
    try:
        _run(job, kept, client, console, now, sleep)
    except KeyboardInterrupt:
        kept.save(job.devices)
        console.print(
            "Stopped: no further device is sent to; those that were go on by themselves. "
            "The same command goes on where this one was."
        )
        raise
    if job.stopped():
        console.print("Stopped by itself. What failed:", style="red")
        for name, device in job.devices.items():
            if device.state in _BAD:
                console.print(f"  {name}: {device.text}")
    return not job.stopped()


def _run(job, kept, client, console, now, sleep):
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(job.devices))
        while True:
            number, part, _ = job.stage()
            job.step(client, now(), lambda: kept.save(job.devices))
            done = sum(device.state not in _OPEN for device in job.devices.values())
            told = f"stage {number} {job.trouble}".strip()
            bar.update(task, description=told, completed=done)
            if _is_over(part) or job.stopped():
                kept.save(job.devices)
                console.print(_line(number, part))
                if job.over():
                    return
                continue
            sleep(_EVERY_S)


def _line(number: int, part: list[Device]) -> str:
    counts = {
        state: sum(device.state == state for device in part)
        for state in (WELL, FAILED, SILENT, SENT, SENDING, WAITING)
    }
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"stage {number}, {len(part)} devices: {told}"
