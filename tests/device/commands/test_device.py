"""What is set of the device as a whole."""

from firmware.base import uptime
from firmware.commands.device import Device


class Led:
    def __init__(self):
        self.on = False

    def set(self, on):
        self.on = on


class Queue:
    max_age_ms = 10000


def test_it_blinks_for_as_long_as_it_is_asked_to():
    led = Led()
    device = Device(Queue(), led, None, None)

    def blinks(seconds):
        shown = []
        begin_ms = uptime.ms()
        for second in range(seconds):
            device.blink(begin_ms + 1000 * second)
            shown.append(led.on)
        return shown

    assert blinks(3) == [False] * 3
    device.put("identify", 5)
    assert device.get("identify") == 0, "what is answered"
    assert blinks(8) == [True, False, True, False, True, False, False, False]
    device.put("identify", 300)
    assert blinks(2) == [True, False]
    device.put("identify", 0)
    assert blinks(3) == [False] * 3


def test_without_a_light_it_is_not_shown():
    device = Device(Queue(), None, None, None)
    device.put("identify", 5)
    device.blink(uptime.ms())


def test_how_often_it_reports_is_read_as_it_was_set():
    queue = Queue()
    device = Device(queue, None, None, None)
    assert device.get("report_every") == 10
    for seconds in (0.1, 2.5, 16.3, 3600):
        device.put("report_every", seconds)
        assert device.get("report_every") == seconds
        assert type(queue.max_age_ms) is int


def test_a_restart_is_called_for_once_it_is_answered():
    called = []
    device = Device(Queue(), None, called.append, lambda part: (part, part["changes"]))
    answer, then = device.put("restart", True)
    assert answer is None and called == []
    then("now")
    assert called == ["now"]
    assert device.put("restart", False) is None
    for changes in (True, False):
        answer, then = device.put("config", {"changes": changes})
        assert answer == {"changes": changes} and bool(then) == changes
