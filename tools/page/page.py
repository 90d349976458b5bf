"""The page beside one device, its platform, and a fleet."""

from tools.platform.thread import PlatformThread
from tools.simulated import Device

from .faults import Faults
from .fleet import Fleet
from .log import Log
from .series import Series
from .server import Server
from .thermostat import Client
from .view import Shared, View


class Page(Server):
    """What all browsers share is here; each has a `View` of its own."""

    def __init__(
        self,
        platform: PlatformThread,
        device: Device,
        faults: Faults,
        port: int,
        fleet: Fleet,
    ):
        self._platform = platform
        self._shared = Shared(
            Series(platform.info["device"]["id"]),
            faults,
            Log(device.log),
            Client(platform.info),
            fleet,
            device.folder,
            device.pull_the_power,
        )
        super().__init__(lambda: View(self._shared), port)

    def add(self, writes: list[dict]) -> None:
        """Take further rows of the journal, and what the device's log has got meanwhile."""
        self._shared.series.add(writes)
        self._shared.fleet.add(writes)
        self._shared.wire = self._platform.wire()
        self._shared.log.follow()
