"""What is set of the device as a whole."""

from firmware.base import uptime
from firmware.commands.device import Device


class Queue:
    max_age_ms = 10000


def test_it_shows_itself_for_as_long_as_it_is_asked_to():
    device = Device(Queue(), None, None)

    def shown(seconds):
        begin_ms = uptime.ms()
        return [device.shows(begin_ms + 1000 * second) for second in range(seconds)]

    assert shown(3) == [False] * 3
    device.put("identify", 5)
    assert device.get("identify") == 0, "what is answered"
    assert shown(8) == [True] * 5 + [False] * 3
    device.put("identify", 300)
    assert shown(2) == [True] * 2
    device.put("identify", 0)
    assert shown(3) == [False] * 3


def test_how_often_it_reports_is_read_as_it_was_set():
    queue = Queue()
    device = Device(queue, None, None)
    assert device.get("report_every") == 10
    for seconds in (0.1, 2.5, 16.3, 3600):
        device.put("report_every", seconds)
        assert device.get("report_every") == seconds
        assert type(queue.max_age_ms) is int


def test_a_restart_is_called_for_once_it_is_answered():
    called = []
    device = Device(Queue(), called.append, lambda part: (part, part["changes"]))
    answer, then = device.put("restart", True)
    assert answer is None and called == []
    then("now")
    assert called == ["now"]
    assert device.put("restart", False) is None
    for changes in (True, False):
        answer, then = device.put("config", {"changes": changes})
        assert answer == {"changes": changes} and bool(then) == changes
