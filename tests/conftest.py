"""Fixtures of all CPython tests."""

import os

import pytest

from tools.platform import ports

# Each of pytest's processes has ports of its own: one that a test has let go of for a while, to
# play an outage, must not be chosen by another one.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SHARE = len(ports.BELOW_EPHEMERAL) // 4
ports.BELOW_EPHEMERAL = ports.BELOW_EPHEMERAL[_SHARE * (_WORKER % 4) :][:_SHARE]


@pytest.fixture
def platform(tmp_path):
    """The platform stand-in on free ports of its own, running in a thread."""
    from tools.platform.thread import PlatformThread

    with PlatformThread(tmp_path / "platform") as running:
        yield running
