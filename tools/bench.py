"""`csipio bench`: the firmware's figures, against their budgets and what is used today."""

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tools import ROOT, ToolError, micropython
from tools.benchmarks import (
    Job,
    Row,
    cpu,
    drain,
    encoding,
    heap,
    house,
    link,
    memory,
    outage,
    pause,
    storm,
    wire,
)

SUBJECTS = (encoding, memory, wire, storm, pause, drain, outage, link, cpu, house, heap)

_REPORT = ROOT / "build" / "bench.json"
_STYLES = {"ok": "green", "over": "bold red", "slow": "yellow"}
_DOC = ROOT / "docs" / "measured.md"
_BEGIN, _END = "<!-- bench:begin -->", "<!-- bench:end -->"
_WIDTH = 150  # of the table where there is no terminal


def main(quick: bool = False, report: Path = _REPORT, write: bool = False) -> None:
    """Measure everything, print a table, and write it to `report` as JSON and beside it as
    Markdown.

    `quick`: few repetitions and no searches, to see that it works; sizes are as true as ever.
    `write`: the page goes into docs/measured.md, too.
    Exits with 1 when a size is over its budget. A timing that is over only says so, because it
    may be the fault of what else the machine does. Raises tools.ToolError.
    """
    busy = os.getloadavg()[0]
    rows = _measure(quick)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(rows))
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_json(rows, quick))
    page = report.with_suffix(".md")
    page.write_text(_page(rows, busy))
    console.print(f"Written to {report} and {page.name}", highlight=False, soft_wrap=True)
    if write:
        _write(page.read_text())
    if any(row.verdict == "slow" for row in rows):
        console.print("slow: a timing over its budget; if this machine was busy, measure again.")
    if any(row.verdict == "over" for row in rows):
        sys.exit(1)


def _measure(quick: bool) -> list[Row]:
    """All rows, with a bar on standard error meanwhile."""
    columns = (SpinnerColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    rows: list[Row] = []
    with (
        Progress(*columns, console=Console(stderr=True), transient=True) as progress,
        tempfile.TemporaryDirectory(prefix="csipio-bench-") as folder,
    ):
        task = progress.add_task("starting", total=len(SUBJECTS))
        job = Job(
            Path(folder).resolve(),
            quick,
            lambda what: progress.update(task, description=what),
        )
        for subject in SUBJECTS:
            rows += subject.rows(job)
            progress.advance(task)
    return rows


def _table(rows: list[Row]) -> Table:
    table = Table(title="Measured in MicroPython's unix port", title_justify="left")
    table.add_column("figure", min_width=max(len(row.name) for row in rows))
    for heading, justify in (
        ("measured", "right"),
        ("budget, goal", "right"),
        ("verdict", "left"),
        ("others", "left"),
    ):
        table.add_column(heading, justify=justify)
    for row in rows:
        verdict = Text(row.verdict, _STYLES.get(row.verdict, ""))
        better = " ← better" if row.better else ""
        table.add_row(row.name, row.told, row.wanted or "-", verdict, row.others + better)
    return table


def _page(rows: list[Row], busy: float) -> str:
    """The table, and who is better where; docs/measured.md has the same."""
    lines = [
        f"On {os.cpu_count()} cores, with a load of {busy:.1f} before it began.",
        "",
        "| figure | measured | budget or goal | others |",
        "|---|---|---|---|",
    ]
    for row in rows:
        missed = " (missed)" if row.verdict in ("over", "slow") else ""
        wanted = row.wanted + missed if row.wanted else "–"
        lines.append(f"| {row.name} | {row.told} | {wanted} | {row.others or '–'} |")
    better = [
        f"- {row.name}: {' and '.join(row.better)}; ours {row.told}." for row in rows if row.better
    ]
    if better:
        lines += ["", "Others are better at:", "", *better]
    return "\n".join(lines) + "\n"


def _write(page: str) -> None:
    """Put the page into docs/measured.md."""
    head, begin, rest = _DOC.read_text().partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not end:
        raise ToolError(f"{_DOC}: expected {_BEGIN} and {_END}")
    _DOC.write_text(f"{head}{begin}\n{page}{end}{tail}")


def _json(rows: list[Row], quick: bool) -> str:
    tree = {
        "micropython": str(micropython.interpreter()),
        "quick": quick,
        "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
