"""The page beside one device and its platform: `with Page(platform, device, faults, port)`."""

from tools.platform.thread import PlatformThread
from tools.simulated import Device

from .faults import Faults
from .log import Log
from .series import Series
from .server import Server
from .thermostat import Client
from .view import View


class Page(Server):
    """What all browsers share is here; each has a `View` of its own."""

    def __init__(self, platform: PlatformThread, device: Device, faults: Faults, port: int):
        self._series = Series()
        self._log = Log(device.log)
        client = Client(platform.info)
        super().__init__(
            lambda: View(self._series, faults, self._log, client, device.pull_the_power), port
        )

    def add(self, writes: list[dict]) -> None:
        """Take further rows of the journal, and what the device's log has got meanwhile."""
        self._series.add(writes)
        self._log.follow()
