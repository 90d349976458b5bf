"""Runs inside MicroPython: executes test functions of one file as the pytest plugin in conftest.py
asks for them, a line of JSON each on standard input.

Usage: micropython _runner.py SOURCE SHOWN TOKEN, with the file to execute, the name that it has in
tracebacks, and what a result begins with, so that it is told from the tests' own output.
"""

import gc
import io
import json
import os
import sys

from skip import Skip

_write = sys.stdout.write  # kept, in case a test replaces sys.stdout


def load(source, shown):
    with open(source) as file:
        code = compile(file.read(), shown, "exec")
    module = {"__name__": shown.rsplit("/", 1)[-1][:-3], "__file__": shown}
    exec(code, module)
    return module


def run(function, is_async):
    asyncio = sys.modules.get("asyncio")
    if asyncio:
        # Tasks that an earlier test left behind must not run in this one.
        asyncio.new_event_loop()
    gc.collect()
    if is_async:
        import asyncio

        asyncio.run(function())
    else:
        function()


def outcome(error):
    if error is None:
        return {"outcome": "passed"}
    if isinstance(error, Skip):
        return {"outcome": "skipped", "text": str(error)}
    text = io.StringIO()
    sys.print_exception(error, text)
    return {"outcome": "failed", "text": text.getvalue()}


def main(source, shown, token):
    module = None
    while True:
        line = sys.stdin.readline()
        if not line:
            return
        job = json.loads(line)
        error = None
        try:
            os.chdir(job["cwd"])
            if module is None:
                module = load(source, shown)
            run(module[job["name"]], job["async"])
        except BaseException as caught:
            error = caught
        _write(token + json.dumps(outcome(error)) + "\n")


main(*sys.argv[1:])
