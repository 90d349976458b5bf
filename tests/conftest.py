"""Fixtures of all CPython tests."""

import pytest


@pytest.fixture
def platform(tmp_path):
    """The platform stand-in on free ports of its own, running in a thread."""
    from tools.platform.thread import PlatformThread

    with PlatformThread(tmp_path / "platform") as running:
        yield running
