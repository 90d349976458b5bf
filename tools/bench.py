"""`csipio bench`: the firmware's figures, against their budgets and what is used today."""

import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from tools import ROOT, micropython
from tools.benchmarks import Job, Row, cpu, encoding, heap, house, link, memory, pause, storm, wire

SUBJECTS = (encoding, memory, wire, storm, pause, link, cpu, house, heap)

_REPORT = ROOT / "build" / "bench.json"
_STYLES = {"ok": "green", "over": "bold red", "slow": "yellow"}
_WIDTH = 130  # of the table where there is no terminal


def main(quick: bool = False, report: Path = _REPORT) -> None:
    """Measure everything, print a table, and write it to `report` as JSON and beside it as
    Markdown.

    `quick`: few repetitions and no searches, to see that it works; sizes are as true as ever.
    Exits with 1 when a size is over its budget. A timing that is over only says so, because it
    may be the fault of what else the machine does. Raises tools.ToolError.
    """
    rows = _measure(quick)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(_table(rows))
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_json(rows, quick))
    page = report.with_suffix(".md")
    page.write_text(_page(rows))
    console.print(f"Written to {report} and {page.name}", highlight=False, soft_wrap=True)
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
    for heading, justify in (
        ("figure", "left"),
        ("measured", "right"),
        ("budget", "right"),
        ("verdict", "left"),
        ("against", "left"),
    ):
        table.add_column(heading, justify=justify)
    for row in rows:
        verdict = Text(row.verdict, _STYLES.get(row.verdict, ""))
        budget = "-" if row.budget is None else f"≤ {row.budget:g} {row.unit}"
        measured = f"{_figure(row.measured)} {row.unit}"
        table.add_row(row.name, measured, budget, verdict, row.against)
    return table


def _page(rows: list[Row]) -> str:
    """The table as docs/measured.md has it."""
    lines = ["| figure | measured | budget | against |", "|---|---|---|---|"]
    for row in rows:
        budget = "–" if row.budget is None else f"≤ {row.budget:g} {row.unit}"
        measured = f"{_figure(row.measured)} {row.unit}"
        lines.append(f"| {row.name} | {measured} | {budget} | {row.against} |")
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def _json(rows: list[Row], quick: bool) -> str:
    tree = {
        "micropython": str(micropython.interpreter()),
        "quick": quick,
        "rows": [{**dataclasses.asdict(row), "verdict": row.verdict} for row in rows],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
