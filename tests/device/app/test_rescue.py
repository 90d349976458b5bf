"""Where firmware.app cannot be imported: what rescue.py does on a board, on stand-ins for one."""

import json
import os
import sys

import fake_esp32
from fake_esp32 import RTC, Machine, Pin

fake_esp32.install()

from firmware import rescue  # noqa: E402 needs the stand-ins
from firmware.board import esp32  # noqa: E402
from firmware.supervision import faults, starts  # noqa: E402


class Board:
    platform = "esp32"
    print_exception = sys.print_exception

    @staticmethod
    def exit(code):
        raise AssertionError("a board has no exit code")


class Time:
    """Somebody presses Ctrl-C, or not."""

    pressed = False

    @staticmethod
    def sleep(seconds):
        assert seconds == 10
        if Time.pressed:
            raise KeyboardInterrupt


def die(error, good=None, pressed=False):
    for name in os.listdir():
        os.remove(name)
    if good is not None:
        with open("config.good.json", "w") as file:
            file.write(good if type(good) is str else json.dumps(good))
    rescue.sys, rescue.time = Board, Time
    Time.pressed = pressed
    Pin.driven.clear()
    Machine.resets = 0
    try:
        rescue.died(error)
    finally:
        rescue.sys = sys


def early():
    """What the next start that can be imported counts."""
    starts.board = esp32
    esp32._reason = esp32._take_reason()
    Machine.cause = Machine.HARD_RESET
    return starts.begin()


def relay(pin, active=None):
    return {"pin": pin, "active": active} if active else {"pin": pin}


def test_every_relay_of_the_last_good_configuration_goes_off():
    regulated = {"relay": relay(26), "stage2": relay(27, "low"), "cooler": relay(25, "high")}
    die(MemoryError("short"), {"thermostat": regulated})
    assert Pin.driven == {26: [0], 27: [1], 25: [0]}, Pin.driven
    assert Machine.resets == 1


def test_it_restarts_whatever_the_configuration_is():
    for good in (None, "{", [], {}, {"thermostat": None}, {"thermostat": {"relay": {}}}):
        die(ImportError("no module"), good)
        assert Machine.resets == 1 and not Pin.driven, good


def test_each_counts_as_a_start_that_ended_early_until_ctrl_c():
    for kept in (b"", b"anything of 13", b"\xff" * 13):
        RTC.kept = kept
        for _ in range(3):
            die(MemoryError("short"))
        assert early() == 3
    die(MemoryError("short"), pressed=True)
    assert Machine.resets == 0
    assert early() == 0
    RTC.kept = b""
    for _ in range(300):
        die(MemoryError("short"))
    assert early() == 255


def test_ctrl_c_while_it_is_imported_ends_the_row_too_with_the_relays_off():
    RTC.kept = b""
    die(MemoryError("short"))
    die(KeyboardInterrupt(), {"thermostat": {"relay": relay(26)}})
    assert Machine.resets == 0 and Pin.driven == {26: [0]}
    assert early() == 0
    assert "lastfault.txt" not in os.listdir()


def test_the_number_of_readings_beside_the_count_stays():
    RTC.kept = b""
    esp32.Retained().set(1234567)
    die(MemoryError("short"))
    assert esp32.Retained().get() == 1234567


def test_what_it_died_of_is_kept_as_any_fault_and_told_later():
    class Queue:
        numbers = (0, 5)

    for words in ("short", "x" * 2000):
        die(MemoryError(words))
        text = faults.Untold(Queue, lambda text: text).take()
        assert text.startswith("the import, firmware "), text
        assert words[-300:] in text, text


def test_a_full_flash_keeps_no_relay_on_and_no_start_back():
    def full(*given):
        raise OSError(28)

    real, rescue._keep = rescue._keep, full
    RTC.kept = b""
    try:
        die(MemoryError("short"), {"thermostat": {"relay": relay(26)}})
    finally:
        rescue._keep = real
    assert Pin.driven == {26: [0]} and Machine.resets == 1 and early() == 1
