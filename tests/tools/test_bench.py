"""`csipio bench`: that it measures, what it makes of a figure, and that the sizes are kept."""

import json
import sys
import time

import pytest

from tools import ROOT, bench
from tools.benchmarks import BenchmarkError, Job, Row, smallest


@pytest.mark.timeout(400)  # all that there is to measure, once
def test_the_sizes_are_within_their_budgets(tmp_path, capsys):
    report = tmp_path / "made" / "bench.json"
    bench.main(quick=True, report=report)  # exits if a size is not
    rows = {row["name"]: row for row in json.loads(report.read_text())["rows"]}
    table = capsys.readouterr().out
    budgets = [name for name, row in rows.items() if row["budget"] is not None]
    assert len(budgets) >= 9
    for name in budgets:
        assert name.split(",")[0] in table
        row = rows[name]
        assert row["verdict"] == "ok" or row["timing"], row
    if sys.platform == "linux":  # elsewhere not all can be measured
        assert written() == list(rows), "docs/measured.md is another bench's: csipio bench --write"


def written():
    """The names of the rows of docs/measured.md."""
    lines = (ROOT / "docs" / "measured.md").read_text().splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert rows[0] == "figure"
    return rows[1:]


def rows(*measured, timing=False):
    return [Row(f"figure {n}", n, "B", "nothing", 10, timing) for n in measured]


class Subject:
    def __init__(self, rows):
        self._rows = rows

    def rows(self, job):
        return self._rows


def test_a_size_over_its_budget_fails_and_is_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "SUBJECTS", (Subject(rows(10, 11)),))
    with pytest.raises(SystemExit) as ended:
        bench.main(report=tmp_path / "bench.json")
    assert ended.value.code == 1
    verdicts = [
        row["verdict"] for row in json.loads((tmp_path / "bench.json").read_text())["rows"]
    ]
    assert verdicts == ["ok", "over"]
    assert "over" in capsys.readouterr().out


def test_a_timing_over_its_budget_is_only_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(bench, "SUBJECTS", (Subject(rows(11, timing=True)),))
    bench.main(report=tmp_path / "bench.json")
    assert "measure again" in capsys.readouterr().out


def test_the_page_says_where_another_is_better(tmp_path, monkeypatch):
    faster = Row("points", 8000, "points/s", "", 15000, timing=True, least=True)
    faster.peers = {"slow": 2000, "fast": 28000}
    smaller = Row("bytes", 10, "B", "", 12, peers={"large": 100})
    ratio = Row("time", 1.66, "×", "dicts: 172 µs; ours 285 µs")
    monkeypatch.setattr(bench, "SUBJECTS", (Subject([faster, smaller, ratio]),))
    doc = tmp_path / "measured.md"
    doc.write_text("# Measured\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nThe end.\n")
    monkeypatch.setattr(bench, "_DOC", doc)
    bench.main(report=tmp_path / "bench.json", write=True)
    page = (tmp_path / "bench.md").read_text()
    assert doc.read_text() == (
        f"# Measured\n<!-- bench:begin -->\n{page}<!-- bench:end -->\nThe end.\n"
    )
    assert "| points | 8000 points/s | ≥ 15000 points/s (missed) | slow: 2000 points/s; " in page
    assert "- points: fast; ours 8000 points/s." in page
    assert "- time: dicts; ours 1.66 ×." in page
    assert "- bytes" not in page


@pytest.mark.parametrize("limit", [64, 72, 73, 200, 256])
def test_the_smallest_that_suffices_is_found(limit):
    tried = []

    def suffices(kib):
        tried.append(kib)
        return kib >= limit

    assert smallest(64, 256, 8, suffices) == -(-limit // 8) * 8
    assert len(tried) <= 6
    assert smallest(64, 256, 8, lambda kib: False) is None


def test_a_script_that_fails_is_told_of_with_its_own_words(tmp_path):
    job = Job(tmp_path, True, print)
    with pytest.raises(BenchmarkError, match=r"(?s)pause\.py: .*ENOENT"):
        job.inside("pause", tmp_path / "absent", 1)


def test_a_script_that_ends_while_it_is_needed_is_told_of(tmp_path):
    job = Job(tmp_path, True, print)
    with (
        pytest.raises(BenchmarkError, match=r"(?s)pause\.py ended: .*ENOENT"),
        job.running("pause", tmp_path / "absent", 1),
    ):
        time.sleep(3)
