"""How soon to try again, and how fast to send."""

import os

from firmware.link.pacing import Backoff, Pace

MINUTE = 60000  # ms
HOUR = 3600000


class End:
    seq = 5


class FEED:
    """Its points are those before number 5."""

    end = End


# The rounds of an outage, in ms: each device tries once in each.
ROUNDS = (1000, 2750, 2750, 2750, 5500, 11000, 22000, 44000, 88000, 176000, 176000)


def tries(count, own_ms=0):
    """When one device tries, so often; a try itself takes `own_ms`."""
    backoff = Backoff()
    backoff.failed(0)
    found = []
    for _ in range(count):
        found.append(backoff.at_ms)
        backoff.failed(backoff.at_ms + own_ms)
    return found


def test_each_device_tries_once_in_each_round_and_has_its_place_there():
    devices = [tries(len(ROUNDS)) for _ in range(200)]
    begin = 0
    for n, ms in enumerate(ROUNDS):
        found = [device[n] - begin for device in devices]
        assert min(found) >= 0 and max(found) <= ms, (n, min(found), max(found))
        # 200 draws: each quarter has its share, by far more than five sigma.
        for quarter in range(4):
            low, high = quarter * ms // 4, (quarter + 1) * ms // 4
            share = len([at for at in found if low <= at < high + 1])
            assert 15 <= share <= 90, (n, quarter, share)
        for device in devices:
            assert abs((device[n] - begin) * 1000 // ms - device[0]) < 12, (n, device)
        begin += ms


def test_after_an_outage_of_six_seconds_nobody_waits_for_three():
    for _ in range(500):
        assert min([at for at in tries(6) if at >= 6000]) < 9000


def test_a_try_is_a_part_of_its_round():
    for own_ms in (100, 700, 990):
        for _ in range(100):
            found = tries(6, own_ms)
            begin = 0
            for at, ms in zip(found, ROUNDS):
                assert begin <= at <= begin + ms, (own_ms, found)
                begin += ms


def test_tries_that_take_long_are_spread_as_evenly():
    # Half of a second's share of two seconds, of 400 devices.
    for own_ms in (2000, 4000):
        found = sorted([at for _ in range(400) for at in tries(8, own_ms) if at < 20000])
        least = 400 * 2000 // (own_ms + 1750)
        for begin in range(2 * own_ms, 10000, 500):
            share = len([at for at in found if begin <= at < begin + 2000])
            assert share < least * 3 // 2, (own_ms, begin, share, least)


def test_between_two_tries_that_take_long_there_is_time_for_the_other_way():
    for _ in range(100):
        found = tries(9, 12000)
        pauses = [later - at - 12000 for at, later in zip(found, found[1:])]
        assert min(pauses[1:]) >= 1750 and max(pauses[:4]) <= 6750, pauses
        assert pauses[7] >= 43000, pauses


def test_a_failure_before_its_time_makes_no_wait_longer():
    backoff = Backoff()
    for _ in range(4):
        backoff.failed(0)
    backoff.at_ms = 100000
    assert backoff.failed(50000) <= 5500 and backoff.at_ms <= 55500


def test_the_limit_stays_however_long_it_fails():
    backoff = Backoff()
    for _ in range(2000):
        assert backoff.failed(0) <= 176000


def test_the_next_try_is_due_after_the_delay():
    backoff = Backoff()
    assert backoff.at_ms == 0
    delay = backoff.failed(5000)
    assert backoff.at_ms == 5000 + delay


def test_a_floor_is_the_delay_whatever_failed_before_but_not_of_all_devices_to_the_millisecond():
    for failures in (0, 1, 12):
        backoff = Backoff()
        for _ in range(failures):
            backoff.failed(0)
        found = [backoff.failed(0, 60000) for _ in range(200)]
        assert min(found) >= 60000 and max(found) <= 65000
        assert max(found) - min(found) > 2000


def test_a_failure_with_a_floor_does_not_lengthen_the_delays_of_others():
    for _ in range(50):
        backoff = Backoff()
        for _ in range(12):
            backoff.failed(0, 60000)
        assert backoff.failed(0) <= 1000


def test_success_starts_again_at_a_second():
    backoff = Backoff()
    for _ in range(10):
        backoff.failed(1000)
    backoff.succeeded()
    assert backoff.at_ms == 0
    for _ in range(50):
        assert backoff.failed(0) <= 1000
        backoff.succeeded()


def test_success_tells_whether_it_was_needed():
    backoff = Backoff()
    assert not backoff.succeeded()
    backoff.failed(0)
    assert backoff.succeeded()
    assert not backoff.succeeded()
    backoff.failed(0, 60000)
    assert backoff.succeeded()
    assert not backoff.succeeded()


def test_a_cause_that_is_gone_leaves_the_wait_of_a_first_failure():
    for _ in range(50):
        backoff = Backoff()
        for _ in range(12):
            backoff.failed(1000)
        backoff.at_ms = 200000
        backoff.restart(5000)
        assert 5000 <= backoff.at_ms <= 6000
        assert backoff.failed(0) <= 1000


def test_a_cause_that_is_gone_makes_no_wait_longer():
    for _ in range(50):
        backoff = Backoff()
        backoff.restart(5000)
        assert backoff.at_ms == 0
        backoff.failed(0)
        backoff.at_ms = 5010
        backoff.restart(5000)
        assert backoff.at_ms <= 5010


def test_a_floor_holds_even_if_another_cause_is_gone():
    backoff = Backoff()
    assert not backoff.refused
    at_ms = backoff.failed(0, 60000)
    backoff.restart(10)
    assert backoff.refused and backoff.at_ms == at_ms
    backoff.failed(60000)
    assert not backoff.refused
    backoff.failed(0, 60000)
    backoff.succeeded()
    assert not backoff.refused


# Pace


def told(per_minute, points, values=False, stated=(None, None)):
    """That of a device which was told what the platform takes, long after its start."""
    pace = Pace(per_minute, points, -HOUR, values)
    pace.limit(*stated)
    return pace


def gap(pace, now):
    """How long after a feed sent now the next one may go."""
    pace.sent(now, FEED, 5)
    ms = 0
    while not pace.ready(now + ms):
        ms += 1
    return ms


def most(times, ms=MINUTE):
    """How many of these, which are in order, are within so many ms."""
    found = first = 0
    for i in range(len(times)):
        while times[i] - times[first] >= ms:
            first += 1
        found = max(found, i + 1 - first)
    return found


def test_feeds_are_spaced_evenly():
    # A minute that has two seconds more.
    for per_minute, ms in ((60, 1034), (600, 104), (1, 62000), (60000, 2)):
        pace = told(per_minute, 100)
        assert pace.ready(0)
        assert gap(pace, 0) == ms
        assert gap(pace, 123456) == ms


def test_no_minute_holds_one_too_many_whatever_wants_to_go():
    for per_minute in (1, 5, 8, 11, 30, 60, 300):
        for values in (False, True):
            pace = told(per_minute, 100, values)
            feeds = []
            singles = []
            for now in range(0, 4 * MINUTE, 50):
                quiet = now // 40000 % 3 == 1
                # Eight values each half a second, and a feed whenever it may.
                for _ in range(8 if values and not quiet and now % 500 == 0 else 0):
                    if pace.ahead(now):
                        singles.append(now)
                if pace.ready(now):
                    pace.sent(now, FEED, 5)
                    feeds.append(now)
            found = most(sorted(feeds + singles), MINUTE + 1900)
            assert found <= per_minute, (per_minute, values, found)
            # And the feeds have their share.
            assert len(feeds) >= per_minute * (4 if not values else 1) * 0.8, (per_minute, values)
            if values and per_minute >= 30:
                assert most(singles, 50) >= 4, (per_minute, most(singles, 50))
                assert len(singles) >= per_minute, (per_minute, len(singles))


def test_so_it_is_over_restarts():
    for values in (False, True):
        times = []
        now = 0
        while now < 5 * MINUTE:
            pace = Pace(60, 100, now, values)
            for _ in range(200):  # ten seconds, and half of one to start again
                while values and pace.ahead(now):
                    times.append(now)
                if pace.ready(now):
                    pace.sent(now, FEED, 5)
                    times.append(now)
                now += 50
            now += 500
        assert 30 < most(times) <= 60, most(times)


def test_what_was_long_on_its_way_may_have_arrived_together():
    for values in (False, True):
        pace = told(60, 100, values)
        sent = []
        arrived = []
        for now in range(0, 3 * MINUTE, 50):
            stalled = now % 45000 < 9000  # nothing gets through
            if sent and not stalled:
                for sent_ms in sent:
                    arrived.append(now)
                    pace.arrived(now, sent_ms)
                sent = []
            if len(sent) < 4 and pace.ready(now):
                pace.sent(now, FEED, 5)
                sent.append(now)
            while values and len(sent) < 12 and pace.ahead(now):
                sent.append(now)
        assert 40 < most(arrived) <= 60, most(arrived)


def test_the_end_of_a_stall_has_a_feed_at_once_that_is_paid_for_later():
    pace = told(60, 100)
    for now in (0, 2000, 4000):
        pace.sent(now, FEED, 5)
    assert not pace.hurried
    for sent_ms in (0, 2000, 4000):
        pace.arrived(7000, sent_ms)
    assert pace.hurried and pace.ready(7000)
    assert gap(pace, 7000) == 4 * 1034


def test_where_every_answer_is_late_feeds_wait_for_their_age():
    pace = told(60, 100)
    for now in range(0, 10 * MINUTE, 10000):
        pace.sent(now, FEED, 5)
        pace.arrived(now + 5000, now)
        assert pace.hurried is (now == 0)
        pace.sent(now + 5000, None, 5)
    pace.arrived(11 * MINUTE, 11 * MINUTE - 100)
    pace.arrived(12 * MINUTE, 12 * MINUTE - 5000)
    assert pace.hurried


def test_the_platforms_limits_hold_where_they_are_lower():
    for per_minute, points, expected in (
        (None, None, (1034, 100)),
        (60, 100, (1034, 100)),
        (600, 1000, (1034, 100)),
        (30, None, (2067, 100)),
        (None, 25, (1034, 25)),
        (6, 1, (10334, 1)),
    ):
        pace = told(60, 100, stated=(per_minute, points))
        assert (gap(pace, 0), pace.most_points) == expected
    # Stated again, they are compared with what is configured, and not with what was stated before.
    pace.limit(30, 50)
    assert (gap(pace, HOUR), pace.most_points) == (2067, 50)


def test_before_any_were_stated_feeds_are_small():
    assert Pace(60, 100, 0).most_points == 5
    assert Pace(60, 3, 0).most_points == 3


def test_what_was_stated_outlives_a_restart_and_is_written_when_it_changes():
    assert os.listdir() == []
    assert Pace(60, 100, 0).limit(30, 5)
    for _ in range(3):
        pace = Pace(60, 100, 0)
        assert (gap(pace, HOUR), pace.most_points) == (2067, 5)
        os.rename("limits.json", "kept")
        assert not pace.limit(30, 5)
        assert os.listdir() == ["kept"]
        os.rename("kept", "limits.json")
    assert pace.limit(None, 7)
    assert Pace(60, 100, 0).most_points == 7
    assert pace.limit(None, None)
    pace = Pace(60, 100, 0)
    assert pace.most_points == 100 and not pace.limit(None, None)
    assert os.listdir() == ["limits.json"]


def test_what_cannot_be_read_was_not_stated():
    pairs = "[0, 5]", "[-3, 5]", '["30", 5]', '{"a": 1, "b": 2}'
    for text in ("", "[30", "7", "[30]", "null") + pairs:
        with open("limits.json", "w") as file:
            file.write(text)
        pace = Pace(60, 100, 0)
        assert (gap(pace, HOUR), pace.most_points) == (1034, 5), text
    os.remove("limits.json")
    os.mkdir("limits.json")
    pace = Pace(60, 100, 0)
    try:
        pace.limit(30, 50)
        raise AssertionError("it was kept")
    except OSError:
        pass
    # It is in force all the same, and kept as soon as that is possible.
    assert (gap(pace, HOUR), pace.most_points) == (2067, 50)
    os.rmdir("limits.json")
    assert not pace.limit(30, 50)
    assert Pace(60, 100, 0).most_points == 50


def test_too_fast_is_silence_and_then_half_the_pace():
    pace = told(60, 100)
    pace.too_fast(10000, 7000)
    assert not pace.ready(16999)
    assert pace.ready(17000)
    assert gap(pace, 17000) == 2068
    pace.too_fast(20000, 0)
    assert gap(pace, 20000) == 4136


def test_the_pace_recovers_step_by_step():
    pace = told(60, 100)
    for _ in range(3):
        pace.too_fast(0, 0)
    found = []
    for n in range(9):
        found.append(gap(pace, n * HOUR))
        pace.accepted()
    assert found == [1034 * n for n in (8, 7, 6, 5, 4, 3, 2, 1, 1)]


def test_it_never_gets_slower_than_a_feed_in_about_a_minute():
    pace = told(60, 100)
    for _ in range(30):
        pace.too_fast(0, 0)
    assert gap(pace, 0) == 64 * 1034


def test_a_feed_that_was_too_large_halves_the_next_and_they_grow_as_far_as_they_fit():
    pace = told(60, 100)
    pace.too_large(40)
    assert pace.most_points == 20
    pace.accepted(7)  # it says nothing about larger ones
    assert pace.most_points == 20
    while pace.most_points < 39:
        before = pace.most_points
        pace.accepted(before)
        assert pace.most_points == before + 1
    pace.accepted(39)
    assert pace.most_points == 39, "forty were too many"
    pace.limit(None, 50)
    assert pace.most_points == 50
    pace.accepted(50)
    assert pace.most_points == 50
    pace.too_large(1)
    assert pace.most_points == 1


def test_what_cannot_wait_is_ahead_of_its_turn_but_a_feed_that_waits_is_not_held_up():
    pace = told(60, 100, values=True)
    pace.sent(0, FEED, 5)
    sent = 0
    while pace.ahead(500):
        sent += 1
    assert sent == 6
    # A feed has one turn in four; each takes 62 s / 53.
    assert not pace.ready(4679) and pace.ready(4680)
    pace.sent(4680, FEED, 5)
    assert not pace.ready(4680 + 4679)


def test_nothing_is_ahead_of_the_silence_that_the_platform_asked_for():
    for wait_ms in (500, 7000, 60000):
        pace = told(60, 100, values=True)
        for _ in range(3):
            pace.too_fast(0, wait_ms)
        assert not pace.ahead(wait_ms - 1) and not pace.ready(wait_ms - 1)
        ms = wait_ms
        while not pace.ready(ms):
            ms += 50
        assert ms <= wait_ms + 8 * 8 * 1170
