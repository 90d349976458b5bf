"""Values by index and by name, and how many of them the next run is told that only RAM had."""

import asyncio
import sys

from firmware.points.intake import Intake
from firmware.points.properties import Properties


class Queue:
    """Each value that is put stays in RAM until a tick, for which it asks five times a second."""

    def __init__(self, lost):
        self.properties = Properties([("temperature", 2), ("relay", 0)])
        self.lost = lost
        self.puts = []
        self.in_ram = 0
        self.untold = lost
        self.ticks = 0

    def put(self, index, value, t_ms=None):
        if value is None:
            raise ValueError("it does not fit")
        self.puts.append((index, value, t_ms))
        self.in_ram += 1

    def tick(self):
        self.ticks += 1
        self.in_ram = 0
        return 200


class Retained:
    def __init__(self, number=0):
        self.number = number

    def get(self):
        return self.number

    def set(self, number):
        self.number = number


def make(number=0, in_flight=0):
    queue, retained = Queue(number), Retained(number)
    return Intake(queue, retained, lambda: in_flight), queue, retained


def test_values_come_by_index_or_by_name():
    intake, queue, _ = make()
    intake.put(0, 21.5)
    intake.tell("relay", True)
    intake.tell("temperature", 20, 1795344000000)
    assert queue.puts == [(0, 21.5, None), (1, True, None), (0, 20, 1795344000000)]
    assert intake.has("relay") and not intake.has("rssi")
    try:
        intake.tell("rssi", -60)
        raise AssertionError("it was taken for another property")
    except ValueError:
        pass


def test_each_value_counts_for_the_next_run_and_so_do_those_on_their_way():
    intake, _, retained = make(in_flight=3)
    intake.retain()
    intake.put(0, 1)
    assert retained.number == 4
    intake.tell("relay", False)
    assert retained.number == 5


def test_values_that_come_from_their_way_into_the_queue_count_once():
    on_their_way = [5]
    queue, retained = Queue(0), Retained()
    intake = Intake(queue, retained, lambda: on_their_way[0])
    intake.retain()
    for value in range(5):
        on_their_way[0] -= 1
        queue.put(0, value)
    intake.put(0, 9)
    assert retained.number == 6


def test_a_value_that_costs_another_one_counts_both():
    intake, queue, retained = make()
    intake.put(0, 1)
    put = queue.put

    def put_for_another(index, value, t_ms=None):
        put(index, value, t_ms)
        queue.in_ram -= 1
        queue.untold += 1

    queue.put = put_for_another
    intake.put(0, 2)
    assert retained.number == 2


def test_a_value_that_does_not_fit_does_not_count():
    intake, _, retained = make()
    try:
        intake.put(0, None)
    except ValueError:
        pass
    assert retained.number == 0


def test_what_the_last_run_lost_is_counted_and_told_once():
    lines = []
    log = sys.modules["firmware.base.log"]
    log.print = lines.append
    try:
        _, queue, retained = make(7)
        make(0)
    finally:
        del log.print
    # And for the next run, until that was told.
    assert queue.lost == 7 and retained.number == 7
    assert [line[13:] for line in lines] == [
        "W intake: 7 readings that were only in RAM are lost (or earlier ones, not yet reported)"
    ], lines


async def test_the_task_brings_readings_to_flash_as_often_as_the_queue_asks():
    intake, queue, retained = make()
    intake.put(0, 1)
    task = asyncio.create_task(intake.run())
    await asyncio.sleep_ms(600)
    task.cancel()
    assert 2 <= queue.ticks <= 4, queue.ticks
    assert retained.number == 0 and intake.alive_ms > 0
