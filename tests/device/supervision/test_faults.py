"""What is kept of a fault, and when it is told."""

import asyncio
import json
import os
import sys

from firmware import VERSION, config
from firmware.base import files
from firmware.config.trial import CONFIG, GOOD
from firmware.supervision import faults
from firmware.supervision.supervisor import Supervisor
from shortage import shortages

PATH = "lastfault.txt"


class Queue:
    """Nothing leaves RAM but by `deliver`."""

    def __init__(self):
        self.numbers = (0, 5)

    def deliver(self, count):
        self.numbers = (self.numbers[0] + count, max(self.numbers[1], self.numbers[0] + count))


def same(text):
    return text


def fails(depth, words):
    if depth:
        fails(depth - 1, words)
    raise ValueError(words)


def error(words="it broke", depth=0):
    try:
        fails(depth, words)
    except ValueError as error:
        return error


def kept():
    with open(PATH) as file:
        return file.read()


def told(censored=same):
    return faults.Untold(Queue(), censored).take()


def forget():
    for name in os.listdir():
        os.remove(name)


def test_the_traceback_is_kept_with_who_died_of_which_version_and_when():
    faults.keep("link", error())
    lines = told().split("\n")
    assert lines[0].startswith("link, firmware %s, " % VERSION) and "after the start" in lines[0]
    assert lines[1] == "Traceback (most recent call last):"
    assert any(line.startswith("  File ") for line in lines), lines
    assert lines[-2] == "ValueError: it broke", lines


def test_nothing_is_told_where_nothing_is_kept():
    assert told() is None


def test_a_task_that_dies_again_and_again_is_written_once_and_what_ends_a_run_replaces_it():
    faults.keep("link", error("first"))
    real, written = files.replace, []
    faults.files.replace = lambda *given: written.append(given) or real(*given)
    try:
        for n in range(20):
            faults.keep("link", error("again %d" % n))
        assert not written
        faults.keep("the run", error("last"), True)
    finally:
        faults.files.replace = real
    assert len(written) == 1 and "ValueError: last" in kept()


def test_what_is_told_fits_the_platform_whatever_it_holds():
    for words in ("x" * 5000, '"' * 3000, "\x01" * 3000, "°C ☃" * 900, "\n" * 2000, ""):
        faults.keep("the run", error(words, 60), True)
        assert os.stat(PATH)[6] < 1024
        text = told()
        assert len(json.dumps(text).encode()) <= 1000, words[:3]
        assert len(text.encode()) <= 1024
        assert words[-20:] in text, (words[-20:], text)


def test_no_secret_is_told_wherever_it_stands():
    secrets = "hunter2-hunter2", "wifi-password", "old-password"
    wifi = [{"ssid": "a", "password": secrets[1]}, {"ssid": "b"}]
    files.replace_json(CONFIG, {"device": {"key_secret": secrets[0]}, "wifi": wifi})
    files.replace_json(GOOD, {"wifi": [{"password": secrets[2]}, 5], "time": None, "x": {}})
    for secret in secrets:
        for before in range(560, 760):
            # Also where the end of what is kept begins in the middle of it.
            faults.keep("the run", "%s%s" % (secret, "x" * (before - len(secret))), True)
            text = told(config.censored)
            for length in range(4, len(secret) + 1):
                assert secret[-length:] not in text, (secret[-length:], before, text)
        faults.keep("the run", error("refused: %s!" % secret), True)
        assert "ValueError: refused: (hidden)!" in told(config.censored)


def test_it_is_told_once_and_forgotten_when_that_has_left_ram():
    faults.keep("link", error())
    queue = Queue()
    untold = faults.Untold(queue, same)
    assert untold.take() is not None
    queue.deliver(5)  # all before it
    assert untold.take() is None and files.exists(PATH)
    queue.deliver(1)
    assert untold.take() is None and not files.exists(PATH)
    faults.keep("link", error("another one"))
    assert "another one" in untold.take()


def test_it_is_told_again_where_the_run_ended_before_that():
    faults.keep("link", error())
    first = told()
    assert first is not None and told() == first


def test_one_that_came_meanwhile_is_not_forgotten_with_it():
    faults.keep("link", error("first"))
    queue = Queue()
    untold = faults.Untold(queue, same)
    assert "first" in untold.take()
    faults.keep("the run", error("second"), True)
    queue.deliver(10)
    assert "second" in untold.take()


def test_short_memory_or_a_failing_flash_raises_nothing_and_leaves_no_half():
    died = error("first")
    whole = []

    def check(_, n):
        if files.exists(PATH):
            whole.append(n)
            assert "ValueError: first" in kept() and kept().startswith("link, firmware")

    shortages(forget, lambda _: faults.keep("link", died), check)
    assert whole[0] is None and 0 not in whole
    faults.keep("link", died)
    module = sys.modules["firmware.supervision.faults"]
    real = module.files.replace

    def full(*given):
        raise OSError(28)

    module.files.replace = full
    try:
        faults.keep("the run", error("second"), True)
    finally:
        module.files.replace = real
    assert "first" in kept()

    def none(text):
        raise MemoryError

    assert told(none) is None and "first" in told()


def test_bytes_that_are_no_text_are_told_all_the_same():
    with open(PATH, "wb") as file:
        file.write(b"the run\n\xa9\xb0 a \xff \xc3\xa9")
    assert told() == "the run\n a ? ??"


class Dog:
    def feed(self):
        pass


async def test_the_traceback_of_a_task_that_died_is_kept_and_a_lack_of_memory_is_not():
    for died, is_kept in ((OSError("no way"), True), (MemoryError("no"), False)):
        forget()

        async def mortal(died=died):
            raise died

        supervisor = Supervisor(lambda timeout_ms: Dog(), lambda: None, lambda: None)
        supervisor.add("mortal", mortal)
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep_ms(100)
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass
        assert supervisor.restarts == 1 and files.exists(PATH) == is_kept
        if is_kept:
            assert kept().startswith("mortal, firmware ") and "OSError: no way" in kept()
