"""The regulator "pi": shares of a cycle, and an integral that does not run away."""

import random

from firmware.control.pi import Pi
from house import settings

CYCLE_S = 1200


def pi(min_on_s=0, min_off_s=0, **changes):
    keys = {"kp": 0.5, "ti_s": 7200, "cycle_s": CYCLE_S}
    keys.update(changes)
    return Pi(settings(regulator="pi", pi=keys)["pi"], min_on_s, min_off_s)


class Run:
    """A regulator, called every ten seconds."""

    def __init__(self, regulator, now_ms=0):
        self.regulator = regulator
        self.now_ms = now_ms

    def share(self, error_k, seconds=CYCLE_S):
        """The part of the time in which it heats, at an error that stays the same."""
        on = 0
        for _ in range(seconds // 10):
            on += self.regulator.heats(21 - error_k, 21, self.now_ms)
            self.now_ms += 10000
        return on * 10 / seconds


def learnt(run):
    """Its integral as a share, from what it does where there is no error."""
    run.regulator.rest()  # so that a cycle begins
    return run.share(0)


def test_it_heats_all_the_time_where_much_is_missing_and_never_where_it_is_too_warm():
    assert Run(pi()).share(5) == 1
    assert Run(pi()).share(-5) == 0


def test_the_share_grows_with_what_is_missing():
    # It begins with a third; 0.5 K at kp 0.5 are a quarter.
    assert abs(Run(pi()).share(0) - 0.333) < 0.01
    assert abs(Run(pi()).share(0.5) - 0.583) < 0.05  # while the integral grows, too
    assert abs(Run(pi()).share(-0.5) - 0.083) < 0.05


def test_a_lasting_error_adds_its_share_once_more_in_ti():
    run = Run(pi())
    run.share(0.25, 7200)
    assert abs(learnt(run) - (0.333 + 0.125)) < 0.01


def test_it_switches_on_once_a_cycle():
    run = Run(pi())
    switched, was = 0, False
    for _ in range(6 * CYCLE_S // 10):
        now = run.share(0.3, 10) > 0
        switched += now and not was
        was = now
    assert switched == 6, switched


def test_the_integral_stands_still_while_all_the_heat_there_is_does_not_suffice():
    run = Run(pi())
    assert run.share(5, 86400) == 1
    assert abs(learnt(run) - 0.333) < 0.01


def test_the_integral_stands_still_while_it_is_too_warm_without_heating():
    run = Run(pi())
    assert run.share(-5, 86400) == 0
    assert abs(learnt(run) - 0.333) < 0.01


def test_the_integral_stays_within_a_share():
    run = Run(pi())
    run.share(0.1, 30 * 86400)
    # The share was 1 when the integral was 0.95, as 0.1 K are 0.05 of their own.
    assert run.share(0) == 0.95
    # So it comes back at once, not after all the time that it was too cold for.
    run.share(-0.5, 7200)
    assert abs(learnt(run) - 0.7) < 0.02


def test_the_integral_stays_within_a_share_whatever_comes():
    random.seed(3)
    for ti_s in (60, 600, 7200):
        regulator = pi(ti_s=ti_s, kp=random.choice((0.01, 0.5, 10)))
        now_ms = 0
        for _ in range(3000):
            now_ms += random.choice((1000, 1000, 30000, 60000, 10**7))
            regulator.heats(21 + random.choice((random.uniform(-0.1, 0.1), -30, 30)), 21, now_ms)
            assert 0 <= regulator._sum <= regulator._most + 60, ti_s  # a rounded mK for 60 s


def test_small_errors_are_not_lost():
    # Two days at 2 mK: 345.6 of the 8,640 K s that make a share at this kp and ti.
    run = Run(pi(kp=10, ti_s=86400))
    run.share(0.002, 2 * 86400)
    assert abs(learnt(run) - (0.333 + 0.04)) < 0.01


def test_a_new_set_point_need_not_wait_for_the_cycle_to_end():
    run = Run(pi())
    assert run.share(-3, 100) == 0
    assert run.share(3, 100) == 1
    run = Run(pi())
    run.share(3, 100)
    assert run.share(-3, 100) == 0


def test_pulses_and_pauses_too_short_for_the_relay_are_left_out():
    assert Run(pi(min_on_s=180)).share(-0.5) == 0  # a share of 0.08 is 100 s
    assert Run(pi(min_off_s=180)).share(1.1) == 1  # one of 0.88 leaves 140 s


def test_what_is_left_out_comes_later():
    run = Run(pi(min_on_s=240))
    shares = [run.share(-0.3) for _ in range(2)]
    assert shares == [0, 0], shares
    shares = [run.share(0.1) for _ in range(12)]
    assert max(shares) >= 0.2, shares


def test_no_part_of_a_second_is_lost_between_two_calls():
    run = Run(pi())
    for now_ms in range(0, 7200000, 1999):
        run.regulator.heats(20.75, 21, now_ms)
    run.now_ms = now_ms
    assert abs(learnt(run) - (0.333 + 0.125)) < 0.01


def test_a_pause_teaches_nothing():
    run = Run(pi())
    run.share(0)
    run.now_ms += 1000 * 86400
    run.regulator.heats(20.8, 21, run.now_ms)
    assert abs(learnt(run) - 0.333) < 0.01


def test_the_uptime_may_be_of_any_size():
    assert abs(Run(pi(), 10**13).share(0) - 0.333) < 0.01
