"""The releases that the stand-in serves, through curl, and the faults that tests ask for."""

import os
import subprocess

import pytest

from tools.platform.releases import Fault
from tools.platform.thread import PlatformThread

BODY = os.urandom(10_000)


@pytest.fixture
def platform(tmp_path):
    folder = tmp_path / "releases"
    folder.mkdir()
    (folder / "new.bin").write_bytes(BODY)
    (tmp_path / "secret").write_text("not served")
    with PlatformThread(tmp_path / "platform", releases=folder) as running:
        yield running


@pytest.fixture
def get(platform, tmp_path):
    def get(name="new.bin", *headers, key="device", within_s=5):
        """curl's exit code, status, headers by lower-case name, and body."""
        info, out = platform.info, tmp_path / "out"
        out.write_bytes(b"")
        command = ["curl", "-sS", "--path-as-is", "--cacert", info["ca"], "-D", "-", "-o", out]
        command += ["-m", str(within_s)]
        if key:
            command += ["-u", "{key_id}:{key_secret}".format(**info[key])]
        for header in headers:
            command += ["-H", header]
        url = info["api"].removesuffix("/v3") + "/releases/" + name
        done = subprocess.run([*command, url], capture_output=True, text=True)
        head = done.stdout.strip().splitlines()
        found = dict(line.lower().split(": ", 1) for line in head[1:])
        return done.returncode, int(head[0].split()[1]), found, out.read_bytes()

    return get


def test_the_whole_file_for_a_key(get):
    code, status, headers, body = get()
    assert (code, status, body) == (0, 200, BODY)
    assert headers["accept-ranges"] == "bytes" and headers["etag"].startswith('"')
    assert get(key="client")[3] == BODY
    assert get(key=None)[1] == 401


@pytest.mark.parametrize(
    "wanted, first, end",
    [
        ("0-4095", 0, 4096),
        ("8192-12287", 8192, 10000),
        ("9999-", 9999, 10000),
        ("-5", 9995, 10000),
    ],
)
def test_a_range(platform, get, wanted, first, end):
    code, status, headers, body = get("new.bin", f"Range: bytes={wanted}")
    assert (code, status, body) == (0, 206, BODY[first:end])
    assert headers["content-range"] == f"bytes {first}-{end - 1}/10000"
    assert headers["content-length"] == str(end - first)
    assert platform.released() == [("new.bin", f"bytes={wanted}", 206)]


@pytest.mark.parametrize("wanted", ["bytes=10000-", "bytes=5-4", "bytes=-0"])
def test_a_range_that_is_not_there(get, wanted):
    assert get("new.bin", f"Range: {wanted}")[1] == 416


@pytest.mark.parametrize("wanted", ["bytes=-", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"])
def test_what_is_no_single_range_gets_the_whole_file(get, wanted):
    assert get("new.bin", f"Range: {wanted}")[1::2] == (200, BODY)


def test_if_range_of_another_file_gets_the_whole_one(platform, get, tmp_path):
    _, _, headers, _ = get()
    same = ("Range: bytes=0-9", f"If-Range: {headers['etag'].upper().lower()}")
    assert get("new.bin", *same)[1] == 206
    (tmp_path / "releases/new.bin").write_bytes(BODY[::-1])
    _, status, other, body = get("new.bin", *same)
    assert (status, body) == (200, BODY[::-1]) and other["etag"] != headers["etag"]


@pytest.mark.parametrize("name", ["old.bin", "../secret", "%2e%2e%2fsecret", ".new.bin", ""])
def test_nothing_else_is_served(get, name):
    assert get(name)[1] == 404


def test_without_a_folder_there_are_none(tmp_path):
    with PlatformThread(tmp_path / "other") as other:
        url = other.info["api"].removesuffix("/v3") + "/releases/new.bin"
        key = "{key_id}:{key_secret}".format(**other.info["device"])
        command = ["curl", "-sS", "--cacert", other.info["ca"], "-u", key, url]
        assert '"status": 404' in subprocess.run(command, capture_output=True, text=True).stdout


# -- faults


def test_a_fault_meets_one_request_each_in_their_order(platform, get):
    platform.fail_releases(Fault("status", 500), Fault("none"), Fault("status", 416))
    assert [get()[1] for _ in range(4)] == [500, 200, 416, 200]
    assert [status for _, _, status in platform.released()] == [500, 200, 416, 200]


def test_cut(platform, get):
    platform.fail_releases(Fault("cut", 1500))
    code, status, headers, body = get("new.bin", "Range: bytes=0-4095")
    assert code == 18 and status == 206 and headers["content-length"] == "4096"
    assert body == BODY[:1500]


def test_the_whole_body_in_place_of_a_range(platform, get):
    platform.fail_releases(Fault("whole"))
    assert get("new.bin", "Range: bytes=0-4095")[1::2] == (200, BODY)


def test_another_file_midway(platform, get):
    _, _, before, _ = get("new.bin", "Range: bytes=0-4095")
    platform.fail_releases(Fault("other"))
    _, status, headers, body = get("new.bin", "Range: bytes=4096-8191")
    assert status == 206 and headers["etag"] != before["etag"]
    assert len(body) == 4096 and body != BODY[4096:8192]


def test_slow(platform, get):
    platform.fail_releases(Fault("slow", 0.01))
    assert get()[1::2] == (200, BODY)


def test_stalled_until_the_client_gives_up(platform, get):
    platform.fail_releases(Fault("stalled", 100))
    code, status, _, body = get(within_s=1)
    assert (code, status, body) == (28, 200, BODY[:100])
    assert get()[3] == BODY
