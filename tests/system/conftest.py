"""The firmware as a process of its own, against the stand-in or against mosquitto."""

import pytest

from tests.system.device import Device
from tests.system.mosquitto import Mosquitto


@pytest.fixture
def device(tmp_path, platform):
    """A device of the stand-in's, not started: change `device.config` first where needed."""
    device = Device(tmp_path / "device", platform.info)
    yield device
    device.stop()


@pytest.fixture
def mosquitto(tmp_path, platform):
    """Debian's mosquitto with TLS, a certificate of its own CA, and the device's credentials."""
    with Mosquitto(tmp_path / "mosquitto", platform.info["device"]) as running:
        yield running
