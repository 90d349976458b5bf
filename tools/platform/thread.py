"""The stand-in in a thread of its own, for tests: `with PlatformThread(directory) as p:`."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

from . import control
from .releases import Fault
from .service import Platform

_ANSWER_WITHIN_S = 20


class PlatformThread:
    """`Platform`'s methods, called from any other thread; each returns when it is done."""

    def __init__(self, directory: Path, **options):
        """options: as of Platform."""
        self._directory = Path(directory)
        self._platform = Platform(self._directory, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="platform")
        self.info: dict = {}

    def __enter__(self) -> "PlatformThread":
        self._directory.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        try:
            self._wait(self._start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._wait(self._platform.stop())
        finally:
            self._end()

    def stop_mqtt(self) -> None:
        self._wait(self._platform.stop_mqtt())

    def start_mqtt(self) -> None:
        self._wait(self._platform.start_mqtt())

    def stop_https(self) -> None:
        self._wait(self._platform.stop_https())

    def start_https(self) -> None:
        self._wait(self._platform.start_https())

    def control(self, change: Callable[[dict], object]) -> None:
        """Let `change` edit the parsed control file, write it, and have it obeyed."""
        path = self._directory / "control.json"
        tree = json.loads(path.read_text())
        tree.setdefault("fleets", [])
        change(tree)
        control.write(path, tree)
        self._wait(self._platform.refresh())

    def fail_releases(self, *faults: Fault) -> None:
        """Let these faults, in this order, meet the next requests for a release."""
        self._call(lambda: self._platform.releases.faults.extend(faults))

    def released(self) -> list[tuple[str, str, int]]:
        """What was asked below /releases so far: name, header Range, and the status answered."""
        return self._call(lambda: list(self._platform.releases.asked))

    @property
    def fleets(self) -> list[dict]:
        """Name, key id and secret of each fleet."""
        return self._call(lambda: self._platform.info.get("fleets", []))

    @property
    def connected(self) -> bool:
        return self._call(lambda: self._platform.connected)

    def points(self, prop: str | None = None) -> list[tuple[str, int, object]]:
        return self._call(lambda: self._platform.points(prop))

    def latest(self, prop: str) -> tuple[int, object] | None:
        return self._call(lambda: self._platform.latest(prop))

    def writes(self, after: int = 0) -> list[dict]:
        return self._call(lambda: self._platform.writes(after))

    def written(self) -> int:
        return self._call(lambda: self._platform.written())

    def count(self) -> int:
        return self._call(lambda: self._platform.count())

    def forget(self, rows: int) -> None:
        self._call(lambda: self._platform.forget(rows))

    def wire(self) -> list[tuple[int, str, int, bytes]]:
        return self._call(self._platform.wire)

    def log(self) -> list[str]:
        return self._call(self._platform.log)

    async def _start(self) -> None:
        await self._platform.start()
        self.info = self._platform.info

    def _call(self, function: Callable[[], object]) -> object:
        async def called() -> object:
            return function()

        return self._wait(called())

    def _wait(self, work: Coroutine) -> object:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_WITHIN_S)

    def _end(self) -> None:
        self._wait(_cancel_the_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
