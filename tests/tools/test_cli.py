"""The command line as a process: help, mistakes, Ctrl-C."""

import signal
import subprocess
import sys

import pytest

from tools import ROOT
from tools.cli import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands]


def csipio(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tools", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_lists_every_command():
    done = csipio("--help")
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS), done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    done = csipio(command, "--help")
    assert done.returncode == 0 and f"Usage: csipio {command}" in done.stdout


def test_a_mistake_is_told_in_a_line_without_a_traceback(tmp_path):
    done = csipio("device", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"csipio: {tmp_path}: no config.json in it")
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_ctrl_c_ends_a_command_without_a_traceback():
    # A shell's background jobs ignore SIGINT, and what they start inherits that.
    code = """
import signal, sys, time
from tools import build, cli
def wait():
    print("waiting", flush=True)
    time.sleep(60)
signal.signal(signal.SIGINT, signal.default_int_handler)
build.build = wait
sys.argv = ["csipio", "build"]
cli.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in output
