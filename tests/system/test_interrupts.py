"""Ctrl-C at any moment, while it starts, connects, regulates or delivers: the end is clean."""

import json
import random
import subprocess
import time

import pytest

import tools.device
from tests.system.device import PATIENCE_S


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


def test_a_byte_of_the_serial_line_is_enough(device):
    """Without the signal that `csipio device` sends where nobody hears the byte."""
    (device.folder / "config.json").write_text(json.dumps(device.config))
    argv, environ = tools.device.command()
    for _ in range(2):
        running = subprocess.Popen(
            argv,
            cwd=device.folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            for line in running.stdout:
                if "listening for commands" in line:
                    break
            said, _ = running.communicate("\x03", PATIENCE_S)
        finally:
            running.kill()
        assert running.returncode == 0
        assert "app: interrupted; the relay is off" in said
