"""A sleep that somebody else may cut short. It takes no memory."""

import asyncio
from asyncio import core  # type: ignore[attr-defined]


class Pause:
    """One task sleeps in it; the others cut it."""

    def __init__(self):
        self._task = None  # that sleeps
        self._cut = False

    async def wait(self, ms: int) -> bool:
        """Sleep for so long, or until it is cut; at once where it was cut since the last sleep.
        Whether it was. Others get their turn in any case.
        """
        if not self._cut:
            self._task = asyncio.current_task()
        try:
            await asyncio.sleep_ms(0 if self._cut else ms)
        finally:
            self._task = None
        cut = self._cut
        self._cut = False
        return cut

    def cut(self) -> None:
        self._cut = True
        task = self._task
        if task and not task.data:  # it is not being cancelled: that would be forgotten
            self._task = None
            core._task_queue.remove(task)
            core._task_queue.push(task)
