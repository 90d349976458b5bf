"""`csipio platform` as a process of its own."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.platform.clients import Curl, Mqtt, feed
from tools import ROOT

COMMAND = [sys.executable, "-m", "tools", "platform"]


@contextmanager
def running(*options, env=None):
    """The process and its JSON line; killed at the end if it is still there."""
    command = [*COMMAND, *map(str, options)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_line_of_json_then_a_clean_end_that_leaves_nothing(tmp_path, monkeypatch, told):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with running() as (process, info):
        assert Path(info["ca"]).is_relative_to(tmp_path)
        assert Curl(info).get("/data/devices/{id}", "client").body == {}
        with Mqtt(info, "tls") as device:
            device.publish(device.out + "properties/counter", "1")
            process.send_signal(told)
            rest, log = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, "")
    assert "Traceback" not in log
    assert info["device"]["key_secret"] not in log
    assert list(tmp_path.iterdir()) == []


def test_directory_keeps_credentials_and_data_even_after_a_kill(tmp_path):
    t = "2017-05-01T14:00:57.467Z"
    folder = tmp_path / "new" / "folder"
    with running("--dir", folder) as (process, before), Mqtt(before, "tls") as device:
        for n in range(20):
            device.publish(device.out + "json", feed({"tt": n, "v": n}, t=t, prop="counter"))
        process.kill()
        process.wait()
    with running("--dir", folder) as (_, after):
        kept = ("device", "client", "ca")
        assert [after[name] for name in kept] == [before[name] for name in kept]
        state = Curl(after).get("/data/devices/_this_/state").body["properties"]
        counter = next(entry for entry in state if entry["meta"]["name"] == "counter")
        assert counter["stats"] == {"count": 20}
        with Mqtt(after, "tls") as device:
            device.publish(device.out + "properties/counter", "20")


def test_chosen_ports_are_used(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("--https", port) as (_, info):
        assert info["https"] == port
        assert info["api"] == f"https://localhost:{port}/v3"
        assert Curl(info).get("/data/devices/_this_").status == 200


@pytest.mark.parametrize("option", ["--mqtt", "--mqtts", "--ws", "--https"])
def test_port_that_is_taken_is_named(option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, option, str(port)], cwd=ROOT, capture_output=True, text=True, timeout=20
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(port) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def refused(folder):
    """What it says where it cannot run in that folder."""
    done = subprocess.run(
        [*COMMAND, "--dir", str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("csipio: ")]
    return line.removeprefix("csipio: ")


def test_bad_control_file_is_told(tmp_path):
    (tmp_path / "control.json").write_text("{}")
    assert refused(tmp_path).startswith("control.json: client: expected")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a stand-in that ran."""
    folder = tmp_path_factory.mktemp("made")
    with running("--dir", folder):
        return folder


def other_tables(path):
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE points (a TEXT)")
    database.close()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("platform.sqlite", lambda path: path.write_text("junk"), "expected the database of a"),
        ("platform.sqlite", other_tables, "expected the database of a stand-in: no such column"),
        ("server.pem", lambda path: path.write_text("junk"), "expected a certificate and its key"),
        ("ca.key", lambda path: path.write_text("junk"), "expected a certificate and its key"),
        ("control.json", lambda path: path.write_bytes(b"\xff\xfe"), "expected JSON"),
    ],
)
def test_a_file_that_is_junk_is_named_with_what_to_do(made, tmp_path, name, change, said):
    folder = shutil.copytree(made, tmp_path / "copy", ignore=shutil.ignore_patterns("*-wal"))
    change(folder / name)
    if name == "ca.key":
        (folder / "server.pem").unlink()
    line = refused(folder)
    assert name in line and said in line
    assert name == "control.json" or "a new one is made" in line or "new ones are made" in line


def test_a_folder_has_one_stand_in_at_a_time(tmp_path):
    with running("--dir", tmp_path) as (process, _):
        line = refused(tmp_path)
        assert line.startswith(f"{tmp_path}: another csipio platform uses it; stop that one, or")
        process.kill()
        process.wait()
    with running("--dir", tmp_path) as (process, _):
        pass


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file").startswith(f"{tmp_path / 'file'}: expected a folder")
