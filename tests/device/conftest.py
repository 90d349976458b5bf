"""Collects tests/device/<room>/test_*.py without importing them, and runs each test inside
MicroPython.

A file's functions `test_*`, plain or async, are items of their own. One MicroPython process runs
those of a file one after another, told by this process which (_runner.py); a test that hangs or
kills it is a failure of that test alone, and the next one gets a new process. In a file,
`TIMEOUT_S = n` allows each of its tests more than a minute and `HEAP = "256K"` sets the size of
the heap: half as much again as its tests need, because how it is fragmented differs from run to
run. Each test starts in an empty folder of its own. What several files share is in helpers/.
`raise Skip("why")`, from skip.py there, skips.
"""

import ast
import json
import os
import re
import secrets
import selectors
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.device import _asserts
from tools import ROOT, micropython

_HERE = Path(__file__).parent
_RUNNER = _HERE / "_runner.py"
_TIMEOUT_S = 60
# After a timeout: how long MicroPython may take to say where it was.
_LAST_WORDS_S = 1


class DeviceTestFailure(Exception):
    """A test failed; the text is all there is to show."""


class Gone(Exception):
    """The MicroPython process ended in the middle of a test."""


def pytest_pycollect_makemodule(module_path, parent):
    return DeviceFile.from_parent(parent, path=module_path)


class DeviceFile(pytest.File):
    """One test file and the process that runs its tests."""

    process = None

    def collect(self):
        source = self.path.read_text()
        try:
            tree = ast.parse(source)
            self.source = _asserts.explain(source)
        except SyntaxError as error:
            where = f"{self.shown}:{error.lineno}"
            raise self.CollectError(f"{where}: {error.msg}") from error
        self.timeout_s = _constant(tree, "TIMEOUT_S", _TIMEOUT_S)
        self.heap = _constant(tree, "HEAP", None)
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        for node in tree.body:
            if isinstance(node, functions) and node.name.startswith("test"):
                if node.args.args:
                    where = f"{self.shown}:{node.lineno}"
                    raise self.CollectError(
                        f"{where}: {node.name}: device tests take no arguments"
                    )
                yield DeviceTest.from_parent(self, name=node.name, node=node)

    @property
    def shown(self):
        """The file's name in messages and tracebacks: its path below pytest's root."""
        return self.nodeid or self.path.name

    def teardown(self):
        self.stop()

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None


class DeviceTest(pytest.Item):
    """One test function."""

    def __init__(self, *, node, **kwargs):
        super().__init__(**kwargs)
        self.lineno = node.lineno
        self.is_async = isinstance(node, ast.AsyncFunctionDef)
        # pytest-timeout must not be faster than the timeout that says where the test was.
        self.add_marker(pytest.mark.timeout(self.parent.timeout_s + _LAST_WORDS_S + 30))

    def reportinfo(self):
        return self.path, self.lineno - 1, self.name

    def runtest(self):
        file = self.parent
        if file.process is None:
            file.process = Process(file)
        try:
            with tempfile.TemporaryDirectory() as folder:
                job = {"name": self.name, "async": self.is_async, "cwd": folder}
                result = file.process.run(job, file.timeout_s)
        except BaseException:
            file.stop()
            raise
        if result["outcome"] == "skipped":
            raise pytest.skip.Exception(result["text"], _use_item_location=True)
        if result["outcome"] == "failed":
            text = _readable(result["text"], file)
            # The exception itself comes first as well: it is what pytest's summary shows.
            raise DeviceTestFailure(f"{text.splitlines()[-1]}\n\n{text}")

    def repr_failure(self, excinfo):
        if isinstance(excinfo.value, DeviceTestFailure | micropython.MicroPythonError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class Process:
    """MicroPython running _runner.py for one file. What it prints is printed here."""

    def __init__(self, file):
        self._file = file
        self._token = f"\n{secrets.token_hex(16)} ".encode()
        self._received = b""
        self._folder = tempfile.TemporaryDirectory()
        source = Path(self._folder.name) / file.path.name
        source.write_text(file.source)
        self._process = subprocess.Popen(
            micropython.command(_RUNNER, source, file.shown, self._token.decode(), heap=file.heap),
            env=micropython.environment([_HERE / "helpers", ROOT, ROOT / "lib", file.path.parent]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def run(self, job, timeout_s):
        """The result of one test, as _runner.py says it. Raises DeviceTestFailure."""
        try:
            try:
                self._process.stdin.write(json.dumps(job).encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                raise Gone from None
            result = self._result(timeout_s)
            if result is not None:
                return result
            self._process.send_signal(signal.SIGINT)
            result = self._result(_LAST_WORDS_S)
        except Gone:
            raise DeviceTestFailure(f"MicroPython {self._fate()} in this test") from None
        where = result["text"] if result and result["outcome"] == "failed" else ""
        text = f"no end after {timeout_s} s; interrupted\n{_readable(where, self._file)}"
        raise DeviceTestFailure(text.rstrip())

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._selector.close()
        self._folder.cleanup()

    def _result(self, timeout_s):
        """Wait for a result, passing on what is printed before it; None if none comes in time."""
        deadline = time.monotonic() + timeout_s
        while True:
            output, found, rest = self._received.partition(self._token)
            if found and b"\n" in rest:
                line, _, self._received = rest.partition(b"\n")
                _print(output)
                return json.loads(line)
            if not self._selector.select(max(0, deadline - time.monotonic())):
                _print(output)
                self._received = found + rest
                return None
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                _print(self._received)
                raise Gone
            self._received += data

    def _fate(self):
        code = self._process.wait()
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"


def _print(output):
    if output:
        print(output.decode(errors="backslashreplace"))


def _constant(tree, name, default):
    """The value of the module's constant `name`, read without executing the module."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return ast.literal_eval(node.value)
    return default


def _readable(traceback, file):
    """MicroPython's traceback without the runner's own lines, and with the source lines."""
    shown = []
    for line in traceback.splitlines():
        if f'"{_RUNNER}"' in line:
            continue
        shown.append(line)
        place = re.match(r'  File "(.+)", line (\d+)', line)
        if place:
            shown.extend(_source_line(file, place[1], int(place[2])))
    return "\n".join(shown)


def _source_line(file, name, number):
    path = file.path if name == file.shown else Path(name)
    if path.suffix != ".py" or not path.is_file():  # frozen into the interpreter
        return []
    lines = path.read_text().splitlines()
    return ["    " + lines[number - 1].strip()] if 0 < number <= len(lines) else []
