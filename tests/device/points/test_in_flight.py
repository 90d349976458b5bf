"""Feeds in flight: acknowledged in any order, released, overtaken by a full buffer, refused."""

from flights import in_flight
from model import Time, drain, fill, make_queue, points, values


def test_points_in_flight_are_not_taken_twice_and_still_count():
    time = Time()
    queue = make_queue(time, max_points=3)
    fill(queue, time, 6)
    a = queue.take()
    assert (a.points, len(queue), in_flight(queue)) == (3, 6, 1)
    first = values(a)
    b = queue.take()
    assert (first, values(b)) == ([0, 1, 2], [3, 4, 5])
    assert queue.take() is None
    queue.acknowledge(a)
    assert (len(queue), in_flight(queue)) == (3, 1)
    queue.acknowledge(b)
    assert (len(queue), in_flight(queue)) == (0, 0)


def test_acknowledgements_may_come_in_any_order():
    time = Time()
    queue = make_queue(time, max_points=2)
    fill(queue, time, 6)
    a, b, c = queue.take(), queue.take(), queue.take()
    queue.acknowledge(c)
    queue.acknowledge(b)
    assert len(queue) == 6
    queue.acknowledge(a)
    assert len(queue) == 0
    fill(queue, time, 2)
    assert drain(queue) == [[0, 1]]


def test_what_is_released_is_sent_again_with_the_same_times():
    time = Time()
    queue = make_queue(time, max_points=2)
    fill(queue, time, 5)
    first = [points(queue.take()) for _ in range(3)]
    queue.release()
    assert in_flight(queue) == 0 and len(queue) == 5
    time.ms += 86400000
    assert [points(queue.take()) for _ in range(3)] == first


def test_only_what_was_not_acknowledged_is_sent_again():
    time = Time()
    queue = make_queue(time, max_points=2)
    fill(queue, time, 6)
    a, b = queue.take(), queue.take()
    queue.acknowledge(a)
    queue.release()
    queue.acknowledge(b)  # it comes too late: b is going to be sent again
    assert drain(queue) == [[2, 3], [4, 5]]


def test_a_late_acknowledgement_frees_nothing_that_was_not_in_it():
    time = Time()
    queue = make_queue(time, max_points=2)
    fill(queue, time, 2)
    old = queue.take()
    queue.release()
    fill(queue, time, 4)
    new = queue.take()
    queue.acknowledge(old)
    assert len(queue) == 6
    queue.acknowledge(new)
    assert len(queue) == 4


# A full buffer


def test_a_full_buffer_drops_the_oldest_and_counts():
    time = Time()
    queue = make_queue(time, slots=16)
    fill(queue, time, 40)
    assert len(queue) + queue.dropped == 40
    kept = sum(drain(queue), [])
    assert kept == list(range(queue.dropped, 40))


def test_what_was_dropped_in_flight_and_then_acknowledged_is_not_lost():
    time = Time()
    queue = make_queue(time, slots=16, max_points=10)
    fill(queue, time, 10)
    batch = queue.take()
    fill(queue, time, 14)  # overtakes the first 8 of the batch
    assert queue.dropped == 8
    queue.acknowledge(batch)
    assert queue.dropped == 0
    assert len(queue) == 14


def test_what_was_dropped_in_flight_and_not_acknowledged_stays_lost():
    time = Time()
    queue = make_queue(time, slots=16, max_points=10)
    fill(queue, time, 10)
    batch = queue.take()
    fill(queue, time, 20)
    queue.release()
    queue.acknowledge(batch)
    assert queue.dropped == 14
    assert len(sum(drain(queue), [])) == 16


def test_points_dropped_from_under_several_feeds_count_once():
    time = Time()
    queue = make_queue(time, slots=16, max_points=5)
    fill(queue, time, 15)
    a, b, c = queue.take(), queue.take(), queue.take()
    fill(queue, time, 8)
    lost = queue.dropped
    assert 5 < lost < 10
    queue.acknowledge(b)
    assert queue.dropped == lost  # a is still waited for
    queue.acknowledge(a)
    assert queue.dropped == 0
    queue.acknowledge(c)
    assert len(queue) == 8


# What the platform refuses


def test_a_point_that_is_set_aside_is_never_sent_again():
    for poison in (3, "a text of several slots", None):
        time = Time()
        queue = make_queue(time, max_points=2)
        for value in (0, 1, poison, 4, 5):
            queue.put(0, value)
        queue.take()  # not acknowledged: what follows it cannot leave the ring
        batch = queue.take(max_points=1)
        assert values(batch) == [poison]
        queue.set_aside(batch)
        assert queue.rejected == 1
        queue.release()
        queue.acknowledge(batch)
        assert sum(drain(queue), []) == [0, 1, 4, 5]
        assert len(queue) == 0 and not queue.due()


def test_only_a_point_alone_can_be_set_aside():
    time = Time()
    queue = make_queue(time)
    fill(queue, time, 2)
    try:
        queue.set_aside(queue.take())
        raise AssertionError("taken")
    except ValueError as e:
        assert "2 points" in str(e)
    assert queue.rejected == 0


def test_a_refused_feed_is_halved_until_the_culprit_is_alone():
    time = Time()
    for poison in ({0}, {99}, {50}, {13, 14, 77}):
        queue = make_queue(time, slots=256, max_points=100)
        fill(queue, time, 150)
        delivered = []
        requests = 0
        while True:
            batch = queue.take()
            if batch is None:
                break
            requests += 1
            found = values(batch)
            if poison & set(found):
                queue.refuse(batch)
            else:
                delivered += found
                queue.acknowledge(batch)
        assert delivered == [n for n in range(150) if n not in poison]
        assert queue.rejected == len(poison)
        assert len(queue) == 0
        assert requests <= 2 + 15 * len(poison), requests


def test_a_refusal_that_comes_too_late_changes_nothing():
    time = Time()
    for count in (1, 4):
        queue = make_queue(time, max_points=4)
        fill(queue, time, 8)
        old = queue.take(count)
        queue.release()
        first = points(queue.take())
        queue.refuse(old)
        assert queue.rejected == 0 and in_flight(queue) == 1
        queue.release()
        assert points(queue.take()) == first


def test_a_batch_knows_whether_any_of_its_points_was_taken_before():
    time = Time()
    queue = make_queue(time, max_points=2)
    fill(queue, time, 5)
    a, b = queue.take(), queue.take()
    assert not a.repeated and not b.repeated
    queue.acknowledge(a)
    queue.release()
    assert [values(queue.take()), queue.take(1).repeated] == [[2, 3], False]
    queue.release()
    again = queue.take()
    assert (values(again), again.repeated) == ([2, 3], True)
    fresh = queue.take(5)
    assert (values(fresh), fresh.repeated) == ([4], True)
    for batch in (again, fresh):
        queue.acknowledge(batch)
    fill(queue, time, 1)
    assert not queue.take().repeated
    queue.release()
    fill(queue, time, 1)
    mixed = queue.take()
    assert (mixed.points, mixed.repeated) == (2, True)


def test_what_was_set_aside_keeps_nobody_waiting():
    """A feed of one point finds the next one, past any number of those that were set aside."""
    time = Time()
    queue = make_queue(time, max_points=10)
    fill(queue, time, 6)
    held = queue.take(1)  # keeps the ring from giving up what follows
    for _ in range(3):
        queue.set_aside(queue.take(1))
    assert values(queue.take(1)) == [4]
    assert len(queue.take(1)) > 0
    queue.release()
    # What was set aside is no point of the feed around it.
    feed = queue.take()
    assert (values(feed), feed.points) == ([0, 4, 5], 3)
    queue.acknowledge(held)
    queue.acknowledge(feed)
    assert (len(queue), queue.rejected) == (0, 3)
