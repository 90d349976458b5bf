"""Fixtures of the stand-in's tests; `platform` itself is in tests/conftest.py."""

import pytest

from tests.platform.clients import Curl


@pytest.fixture
def info(platform):
    return platform.info


@pytest.fixture
def api(info):
    return Curl(info)


@pytest.fixture
def plenty(platform):
    """The rate limit out of the way of a test that writes a lot."""
    platform.control(lambda tree: tree["limits"].update(rateLimit=1_000_000))
