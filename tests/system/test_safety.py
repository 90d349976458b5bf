"""The relay on every way out: off before anything else is done."""

import pytest

from tests.system.test_door import write

# Tells when a relay is switched, and when what is only in RAM goes to flash.
TELL = """
import asyncio
from firmware.board import board
from firmware.points.queue import Queue
set = board.Output.set
def told_set(self, on):
    if on != self.on:
        print("output", on)
    set(self, on)
board.Output.set = told_set
flush = Queue.flush
def told_flush(self):
    print("flush")
    flush(self)
Queue.flush = told_flush
"""


@pytest.mark.parametrize("way", ["interrupt", "command"])
def test_the_relay_is_off_before_anything_goes_to_flash(device, platform, way):
    device.start_broken(TELL)
    device.wait_log("output True")
    device.wait_log("listening for commands")
    begun = len(device.log)
    if way == "interrupt":
        assert device.interrupt() == 0
        device.wait_log("interrupted; the relay is off")
    else:
        write(platform, {"restart": True})
        device.wait_log("restarting: command")
    lines = [line for line in device.log[begun:] if line in ("output False", "flush")]
    assert lines[:2] == ["output False", "flush"]


def test_the_relay_is_off_while_a_start_that_failed_waits_for_the_next(device):
    device.start_broken(
        TELL
        + """
from firmware.supervision.supervisor import Supervisor
run = Supervisor.run
async def fail(self):
    asyncio.create_task(run(self))
    while not any([output.on for output in board.outputs.values()]):
        await asyncio.sleep_ms(50)
    raise ValueError("broken for a test")
Supervisor.run = fail
"""
    )
    device.wait_log("ValueError: broken for a test; restarting in 10 s")
    begun = next(i for i, line in enumerate(device.log) if "restarting in 10 s" in line)
    lines = [line for line in device.log[:begun] if line.startswith("output")]
    assert lines == ["output True", "output False"]
