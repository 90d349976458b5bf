"""Ctrl-C at any moment, while it starts, connects, regulates or delivers: the end is clean."""

import random
import time

import pytest


@pytest.mark.parametrize("seed", range(4))
def test_every_interrupt_ends_it_cleanly(device, seed):
    chance = random.Random(seed)
    device.config["sensors"][0]["every_s"] = 0.1
    device.count(0.1)
    for _ in range(5):
        device.log.clear()
        device.start()
        device.wait_log("app: firmware")
        time.sleep(2 * chance.random())
        assert device.interrupt() == 0
        assert any("app: interrupted; the relay is off" in line for line in device.log)
        assert not any("Traceback" in line for line in device.log), device.log
