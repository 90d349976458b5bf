"""One session goes on after its packet ids have gone round: 65,535 of them are all there are."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.system.device import wait
from tools import ROOT, micropython

_SCRIPT = Path(__file__).with_name("long_session.py")
PUBLISHES = 70_000
TIMEOUT_S = 600


@pytest.fixture
def session(mosquitto, platform, tmp_path):
    """`session(who, count)` runs long_session.py with mosquitto; what it prints."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"port": mosquitto.plain, "device": platform.info["device"]}))

    def run(who, count):
        done = subprocess.run(
            micropython.command(_SCRIPT, who, settings, count, heap="512K"),
            env=micropython.environment([ROOT, ROOT / "lib"]),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S - 60,  # the rest is for what is heard of it
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.timeout(TIMEOUT_S)
def test_seventy_thousand_publishes_in_one_session(session, mosquitto):
    result = session("ours", PUBLISHES)
    assert result["error"] is None
    assert result["acknowledged"] == PUBLISHES
    assert result["sessions"] == 1
    assert 1 < result["in_flight"] <= 8, "a window, not one after another"
    wait(lambda: len(mosquitto.feeds) >= PUBLISHES, "the last publishes")
    assert [feed["dps"][0]["n"] for feed in mosquitto.feeds] == list(range(PUBLISHES))


def test_umqtt_used_plainly_ends_with_the_last_packet_id(session, mosquitto):
    """Its 65,536th publish has the id 0, which no broker takes."""
    result = session("umqtt", 20)
    assert result["acknowledged"] == 20
    assert result["error"]
