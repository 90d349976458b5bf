"""The pytest plugin of tests/device, on test files of its own in a temporary folder."""

import re
import shutil

import pytest

from tests.device import _asserts
from tools import ROOT


@pytest.fixture
def run(pytester):
    """Run pytest on device test files given as keyword arguments; its output."""
    here = ROOT / "tests" / "device"
    for name in ("conftest.py", "_runner.py"):
        shutil.copy(here / name, pytester.path)
    shutil.copytree(here / "helpers", pytester.path / "helpers")

    def run(*arguments, **files):
        for name, source in files.items():
            (pytester.path / f"{name}.py").write_text(source)
        options = ("-rA", "--color=no", "-pno:hypothesispytest")
        return pytester.runpytest_inprocess(*options, *arguments).stdout.str()

    return run


def counts(output):
    """{"passed": 2, …} of pytest's last line."""
    last = output.strip().splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", last)}


def test_tests_run_inside_micropython_in_an_empty_folder(run):
    output = run(
        test_it="""
import os, sys
def test_plain():
    assert sys.implementation.name == "micropython"
    assert os.listdir() == []
    open("left-behind", "w").close()
async def test_async():
    import asyncio
    await asyncio.sleep(0)
    assert os.listdir() == []
def helper(): raise ValueError
"""
    )
    assert counts(output)["passed"] == 2, output


def test_a_failure_shows_traceback_values_and_output(run):
    output = run(
        test_it="""
def test_fails():
    print("on the way")
    total = 1
    assert total + 1 == 3
"""
    )
    assert 'File "test_it.py", line 5, in test_fails\n    assert total + 1 == 3' in output
    assert "FAILED test_it.py::test_fails - AssertionError: 2 == 3" in output
    assert "on the way" in output
    assert "_runner.py" not in output


def test_a_hang_is_cut_off_and_the_next_test_runs(run):
    output = run(
        test_it="""
TIMEOUT_S = 0.3
def test_hangs():
    while True:
        pass
def test_is_deaf():
    while True:
        try:
            while True:
                pass
        except KeyboardInterrupt:
            pass
def test_next():
    pass
"""
    )
    result = counts(output)
    assert result["failed"] == 2 and result["passed"] == 1, output
    assert "FAILED test_it.py::test_hangs - no end after 0.3 s; interrupted" in output
    assert "line 4, in test_hangs\n" in output or "line 5, in test_hangs\n" in output


def test_a_crash_is_named_and_the_next_test_runs(run):
    output = run(
        test_it="""
import os
def test_dies():
    print("last words")
    os.system("kill -SEGV $PPID")
def test_next():
    pass
"""
    )
    result = counts(output)
    assert result["failed"] == 1 and result["passed"] == 1, output
    assert "FAILED test_it.py::test_dies - MicroPython died of SIGSEGV in this test" in output
    assert "last words" in output


def test_leaving_the_interpreter_is_a_failure(run):
    output = run(test_it="import sys\ndef test_exits():\n    sys.exit(0)\n")
    assert "FAILED test_it.py::test_exits - SystemExit: 0" in output


def test_skip_is_shown_with_its_reason(run):
    output = run(
        test_it="""
from skip import Skip
def test_skips():
    raise Skip("no such bus here")
""",
        test_all="""
from skip import Skip
raise Skip("not on this port")
def test_never():
    pass
""",
    )
    assert counts(output)["skipped"] == 2, output
    assert "test_it.py:3: no such bus here" in output
    assert "not on this port" in output


def test_a_file_that_cannot_be_imported_fails_each_of_its_tests(run):
    output = run(
        test_it="""
import no_such_module
def test_one(): pass
def test_two(): pass
"""
    )
    assert counts(output)["failed"] == 2
    assert "ImportError: no module named 'no_such_module'" in output


def test_a_syntax_error_and_a_fixture_are_refused_when_collecting(run):
    output = run(test_it="def test_x(:\n", test_that="def test_y(tmp_path): pass\n")
    assert counts(output)["errors"] == 2
    assert "test_it.py:1: " in output
    assert "test_that.py:1: test_y: device tests take no arguments" in output


def test_heap_is_the_files_own(run):
    output = run(
        test_small="""
import gc
HEAP = "64K"
def test_it():
    assert gc.mem_free() + gc.mem_alloc() < 70000
""",
        test_default="""
import gc
def test_it():
    assert gc.mem_free() + gc.mem_alloc() > 500000
""",
    )
    assert counts(output)["passed"] == 2, output


def test_selection_by_name_and_stopping_at_the_first_failure(run):
    files = {
        "test_it": "def test_a(): assert False\ndef test_b(): pass\ndef test_c(): assert False\n"
    }
    output = run("-k", "test_b", **files)
    assert counts(output) == {"passed": 1, "deselected": 2} | only_seconds(output)
    output = run("test_it.py::test_c")
    assert counts(output)["failed"] == 1 and "passed" not in counts(output)
    output = run("-x")
    assert counts(output)["failed"] == 1 and "passed" not in counts(output)


def only_seconds(output):
    return {word: count for word, count in counts(output).items() if word.startswith("s")}


def test_tasks_of_one_test_do_not_run_in_the_next(run):
    output = run(
        test_it="""
import asyncio
ran = []
async def background():
    await asyncio.sleep_ms(1)
    ran.append(1)
async def test_one():
    asyncio.create_task(background())
async def test_two():
    await asyncio.sleep_ms(20)
    assert ran == []
"""
    )
    assert counts(output)["passed"] == 2, output


def test_asserts_keep_their_meaning():
    source = """\
def check(a, b):
    assert a == b
    assert (a) != ("é", [1,
        2]), "kept"
    assert ("é" in
        (a)) is (not b)
    assert (a is b)
    assert a < b < 3
"""
    explained = _asserts.explain(source)
    assert len(explained.splitlines()) == len(source.splitlines())
    space = {}
    exec(explained, space)
    with pytest.raises(AssertionError, match=r"^1 == 2$"):
        space["check"](1, 2)
    with pytest.raises(AssertionError, match=r"^True is False$"):
        space["check"](["é"], ["é"])
