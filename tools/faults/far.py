"""Networks on which nothing is lost, and all comes later; for a proxy, as the faults are."""

import asyncio
from collections import deque

from tools.faults.faults import Fault


class Far(Fault):
    """The server is a round trip away. However much is under way, it all takes the same time."""

    def __init__(self, round_trip_s: float):
        super().__init__(f"{1000 * round_trip_s:g} ms away")
        self._round_trip_s = round_trip_s

    async def opened(self, link) -> bool:
        await asyncio.sleep(self._round_trip_s)  # TCP's own greeting
        return True

    async def passing(self, link, way: str, unit: bytes) -> None:
        link.memory.setdefault(way, deque()).append(unit)
        asyncio.get_running_loop().call_later(self._round_trip_s / 2, self._arrive, link, way)

    def _arrive(self, link, way: str) -> None:
        link.forward(way, link.memory[way].popleft())

    async def ended(self, link, way: str) -> None:
        await asyncio.sleep(self._round_trip_s / 2)


class Stalled(Fault):
    """Nothing passes while it lasts; then comes all that was sent meanwhile, as TCP has it."""

    def __init__(self):
        super().__init__("stalled")
        self._over = asyncio.Event()

    async def opened(self, link) -> bool:
        await self._over.wait()
        return True

    async def passing(self, link, way: str, unit: bytes) -> None:
        await self._over.wait()
        await link.send(way, unit)

    async def end(self) -> None:
        self._over.set()
