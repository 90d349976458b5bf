"""Readings on flash: what was spilled comes back after a restart, in order, exactly."""

from flights import in_flight
from model import T0, Time, known_clock, points
from spilling import counters, delivered, segments, spill, spilling, values

HEAP = "16M"


def test_a_restart_loses_nothing_and_changes_nothing():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 100)
    expected = points(queue.take())
    for _ in range(3):
        queue = spilling(Time(), clock=known_clock(Time(), T0 + 200000))
        assert queue.spilled == len(queue) == 100
        batch = queue.take()
        assert points(batch) == expected
    queue.acknowledge(batch)
    found = delivered(queue)
    assert expected + found == [("temperature", T0 + 1000 * n, n) for n in range(100)]
    assert len(queue) == 0
    assert segments() == []
    assert counters(queue) == {}


def test_every_kind_of_value_comes_back_as_itself():
    sent = [20.5, -3.25, 7, -7, 2147483647, 10**12, True, None, "on", "", "21 °C", "x" * 1022]
    sent += [{"config": {"volume": 34}}, 123456.75, 'a "b" \\', -0.01]
    time = Time()
    queue = spilling(time, ("a", "b"), slots=600)
    for n, value in enumerate(sent):
        queue.put(n % 2, value)
        time.ms += 100
    queue.flush()
    queue = spilling(time, ("a", "b"))
    expected = [(("a", "b")[n % 2], T0 + 100 * n, v) for n, v in enumerate(sent)]
    assert delivered(queue) == expected


def test_many_restarts_go_on_in_the_same_segment():
    for n in range(50):
        time = Time()
        queue = spilling(time, clock=known_clock(time, T0 + 1000000 * n))
        spill(queue, time, 3, first=3 * n)
    assert len(segments()) == 1
    assert values(delivered(spilling(Time()))) == list(range(150))


def test_segments_are_removed_as_they_are_delivered():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 4000)
    assert len(segments()) == 3
    seen = set()
    while True:
        batch = queue.take()
        if batch is None:
            break
        queue.acknowledge(batch)
        seen.add(len(segments()))
    assert seen == {3, 2, 1, 0}


def test_live_readings_go_first_and_the_backlog_fills_in():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 25)
    assert queue.due()
    order = []
    for n in range(25, 60):
        queue.put(0, n)
        time.ms += 1000
        if n % 4 == 0:
            batch = queue.take()
            if batch:
                order.append(values(points(batch))[0])
                queue.acknowledge(batch)
    # The newest are due every ten readings, and go first after an outage.
    assert order[:5] == [25, 0, 10, 29, 20], order
    found = delivered(queue)
    assert len(queue) == 0, found


def test_what_was_not_acknowledged_is_sent_again_and_segments_stay():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 30)
    first = points(queue.take())
    queue.take()
    assert in_flight(queue) == 2
    queue.release()
    assert points(queue.take()) == first
    queue.release()
    assert len(segments()) == 1
    assert values(delivered(queue)) == list(range(30))
    assert segments() == []


def test_refused_points_of_the_backlog_are_set_aside():
    time = Time()
    queue = spilling(time)
    spill(queue, time, 40)
    found = []
    while True:
        batch = queue.take()
        if batch is None:
            break
        here = values(points(batch))
        if 17 in here or 39 in here:
            queue.refuse(batch)
        else:
            found += here
            queue.acknowledge(batch)
    assert found == [n for n in range(40) if n not in (17, 39)]
    assert counters(queue) == {"rejected": 2}
    assert len(queue) == 0 and segments() == []


def test_a_changed_config_maps_by_name_and_keeps_what_it_no_longer_has():
    time = Time()
    queue = spilling(time, ("a", "b", "c"))
    for n in range(6):
        queue.put(n % 3, 20.5 + n)
    queue.flush()
    time.ms += 10000
    queue = spilling(time, ("c", "a"), clock=known_clock(time, T0 + 10000))
    queue.put(0, 1)
    queue.flush()
    assert len(segments()) == 2  # another table of properties is another segment
    queue = spilling(time, ("c", "a"))
    found = [(prop, v) for prop, _, v in delivered(queue)]
    assert found == [
        ("a", 20.5),
        ("b", 21.5),
        ("c", 22.5),
        ("a", 23.5),
        ("b", 24.5),
        ("c", 25.5),
        ("c", 1),
    ]


def test_other_decimals_are_another_segment():
    """Those of a segment's header are what a property is printed with that the config drops."""
    for decimals in (2, 3, 3, 2):
        time = Time()
        queue = spilling(time, ("a", "b"), decimals=decimals)
        queue.put(0, 20.125)
        queue.flush()
    assert len(segments()) == 3
    assert len(delivered(spilling(Time(), ("b",)))) == 4
