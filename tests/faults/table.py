"""build/faults.md: what each fault cost. Every test process adds rows to the same table.

A row is a file in build/faults/, and the table is made anew from all of them each time that one
is added. The rows of an earlier run of pytest go with the first one of this run.
"""

import fcntl
import json
import os
import time
from pathlib import Path

from tools import ROOT

BUDGET_MS = 50
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()} {time.time()}"

_HEAD = f"""\
# Faults of the network, and what each cost

Measured by `tests/faults/` on the unix port. *Pause*: the longest of the regulation's loop, in ms,
as the firmware measured it, budget {BUDGET_MS}. *Readings*: delivered of those taken, each exactly
once. *Recovery*: seconds from the fault's end until a reading taken after it was there the usual
way. *Sockets* and *heap* (free bytes): before, and after the recovery. *Met*: how often the fault
struck.

| fault | met | pause, ms | readings | recovery, s | sockets | heap |
|---|---|---|---|---|---|---|
"""


def add(family: str, order: int, row: dict, folder: Path = ROOT / "build") -> None:
    """row: fault, met, pause_ms, readings and taken, recovery_s, sockets and heap, both (before,
    after). order: of the row among its family's."""
    rows = folder / "faults"
    rows.mkdir(parents=True, exist_ok=True)
    with (rows / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = rows / "run"
        if not marker.exists() or marker.read_text() != _RUN:
            for old in rows.glob("*.json"):
                old.unlink()
            marker.write_text(_RUN)
        (rows / f"{family} {order:03}.json").write_text(json.dumps({"family": family, **row}))
        (folder / "faults.md").write_text(_table(rows))


def _table(rows: Path) -> str:
    lines = []
    family = None
    for path in sorted(rows.glob("*.json")):
        row = json.loads(path.read_text())
        if row["family"] != family:
            family = row["family"]
            lines.append(f"| **{family}** | | | | | | |")
        lines.append(_line(row))
    return _HEAD + "\n".join(lines) + "\n"


def _line(row: dict) -> str:
    pause = row["pause_ms"]
    cells = [
        row["fault"],
        row["met"] or "–",
        f"**{pause}**" if pause > BUDGET_MS else pause,
        f"{row['readings']} of {row['taken']}",
        f"{row['recovery_s']:.1f}",
        "{} → {}".format(*row["sockets"]),
        "{} → {}".format(*row["heap"]),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"
