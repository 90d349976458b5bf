"""How soon to try again, and how fast to send."""

from firmware.link.pacing import Backoff, Pace


def delays(failures, count=200):
    """Sorted delays after so many failures in a row."""
    found = []
    for _ in range(count):
        backoff = Backoff()
        for _ in range(failures - 1):
            backoff.failed(0)
        found.append(backoff.failed(0))
    return sorted(found)


def test_a_delay_is_drawn_evenly_below_a_limit_that_doubles_up_to_five_minutes():
    for failures, limit in ((1, 1000), (2, 2000), (5, 16000), (9, 256000), (10, 300000)):
        found = delays(failures)
        assert found[0] >= 0 and found[-1] <= limit, (failures, found[0], found[-1])
        # 200 draws: each quarter has its share, by far more than five sigma.
        for quarter in range(4):
            low, high = quarter * limit // 4, (quarter + 1) * limit // 4
            share = len([d for d in found if low <= d < high + 1])
            assert 15 <= share <= 90, (failures, quarter, share)


def test_the_limit_stays_however_long_it_fails():
    backoff = Backoff()
    for _ in range(2000):
        assert backoff.failed(0) <= 300000


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


def gap(pace, now):
    """How long after a feed sent now the next one may go."""
    pace.sent(now)
    ms = 0
    while not pace.ready(now + ms):
        ms += 50
    return ms


def test_feeds_are_spaced_evenly():
    pace = Pace(60, 100)
    assert pace.ready(0)
    assert gap(pace, 0) == 1000
    assert gap(pace, 123456) == 1000
    assert gap(Pace(600, 100), 7) == 100


def test_a_minute_never_holds_one_feed_too_many():
    for per_minute in (1, 7, 59, 60, 61, 119, 600, 3600, 60000, 100000):
        pace = Pace(per_minute, 100)
        sent = 0
        now = 0
        while now < 60000 and sent <= per_minute:
            if pace.ready(now):
                pace.sent(now)
                sent += 1
            now += 1
        assert sent <= per_minute


def test_the_platforms_limits_hold_where_they_are_lower():
    for per_minute, points, expected, lower in (
        (None, None, (1000, 100), False),
        (60, 100, (1000, 100), False),
        (600, 1000, (1000, 100), False),
        (30, None, (2000, 100), True),
        (None, 25, (1000, 25), True),
        (6, 1, (10000, 1), True),
    ):
        pace = Pace(60, 100)
        assert pace.limit(per_minute, points) is lower
        assert (gap(pace, 0), pace.most_points) == expected
    # Stated again, they are compared with what is configured, and not with what was stated before.
    pace.limit(30, 50)
    assert (gap(pace, 0), pace.most_points) == (2000, 50)


def test_too_fast_is_silence_and_then_half_the_pace():
    pace = Pace(60, 100)
    pace.too_fast(10000, 7000)
    assert not pace.ready(16999)
    assert pace.ready(17000)
    assert gap(pace, 17000) == 2000
    pace.too_fast(20000, 0)
    assert gap(pace, 20000) == 4000


def test_the_pace_recovers_step_by_step():
    pace = Pace(60, 100)
    for _ in range(3):
        pace.too_fast(0, 0)
    found = []
    for _ in range(9):
        found.append(gap(pace, 0))
        pace.accepted()
    assert found == [8000, 7000, 6000, 5000, 4000, 3000, 2000, 1000, 1000]


def test_it_never_gets_slower_than_a_feed_in_about_a_minute():
    pace = Pace(60, 100)
    for _ in range(30):
        pace.too_fast(0, 0)
    assert gap(pace, 0) == 64000


def test_a_feed_that_was_too_large_halves_the_next_and_they_grow_as_far_as_they_fit():
    pace = Pace(60, 100)
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


def test_what_cannot_wait_takes_the_turns_of_feeds():
    pace = Pace(60, 100)
    pace.sent(0)
    sent = 0
    while pace.ahead(500):
        sent += 1
    assert sent == 8
    assert not pace.ready(8999) and pace.ready(9000)  # in nine seconds, nine
    assert pace.ahead(9000)
    assert not pace.ready(9999) and pace.ready(10000)


def test_nothing_is_ahead_of_the_silence_that_the_platform_asked_for():
    pace = Pace(60, 100)
    pace.too_fast(0, 60000)
    assert not pace.ahead(10000)
    assert pace.ready(60000)
