"""build/updates.md: what came of each update. Every test process adds rows to the same table."""

import fcntl
import json
from pathlib import Path

from tools import ROOT

_HEAD = """\
# Updates that went wrong, and one that went well

Written by `tests/system/test_update.py`, on the unix port. *Heats*: afterwards the relay obeyed a
set point that was written on the platform.

| update | told | what runs then | heats |
|---|---|---|---|
"""
_TITLES = {"versions": "New versions", "images": "Images", "network": "On the way"}


def add(family: str, order: int, cells: list[str], folder: Path = ROOT / "build") -> None:
    """A row: what was tried, what was told, what runs then, and whether it heats."""
    rows = folder / "updates"
    rows.mkdir(parents=True, exist_ok=True)
    with (rows / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (rows / f"{family} {order:03}.json").write_text(json.dumps(cells))
        text = _HEAD
        for name, title in _TITLES.items():
            paths = sorted(rows.glob(f"{name} *.json"))
            text += f"| **{title}** | | | |\n" if paths else ""
            for path in paths:
                text += f"| {' | '.join(json.loads(path.read_text()))} |\n"
        (folder / "updates.md").write_text(text)
