"""The longest pause of the event loop, measured from inside."""

import asyncio
import time

from firmware.supervision.loop_meter import LoopMeter


def test_a_pause_is_the_longest_step_of_any_task():
    meter = LoopMeter()

    async def main():
        await asyncio.sleep_ms(5)
        meter.take()
        time.sleep_ms(30)
        await asyncio.sleep_ms(1000)  # idle is no pause
        return meter.take()

    asyncio.new_event_loop()
    meter.install()
    longest_ms = asyncio.run(main())
    assert 30 <= longest_ms < 1000, longest_ms
    asyncio.new_event_loop()


def test_between_tasks_that_are_due_the_sockets_are_looked_at_now_and_then():
    meter = LoopMeter()
    looks = []

    class Poller:
        def ipoll(self, dt):
            looks.append(dt)
            return ()

    meter.poller = Poller()
    for _ in range(1000):
        meter.wait_io_event(0)
    assert len(looks) < 500, len(looks)
    time.sleep_ms(10)
    looks.clear()
    meter.wait_io_event(0)
    meter.wait_io_event(7)
    assert looks == [0, 7], looks


def test_a_regulation_that_was_late_counts_too():
    meter = LoopMeter()
    for late_ms in (3, 40, 7, -2):
        meter.late(late_ms)
    assert meter.take() == 40
    assert meter.take() == 0
