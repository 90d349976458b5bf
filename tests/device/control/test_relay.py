"""The relay keeps its minimum times against everybody, and is off when it must be."""

import random

from firmware.control.relay import Relay


class Output:
    """A pin that remembers how it was switched."""

    def __init__(self):
        self.on = True
        self.history = []

    def set(self, on):
        self.on = on
        self.history.append(on)


def test_it_starts_off():
    output = Output()
    assert Relay(output, 0, 0).on is False
    assert output.on is False


def test_it_follows_requests_without_minimum_times():
    output = Output()
    relay = Relay(output, 0, 0)
    assert relay.request(True, 10) is True and output.on is True
    assert relay.request(False, 20) is False and output.on is False


def test_the_off_time_begins_at_power_up():
    relay = Relay(Output(), 0, 180)
    assert relay.request(True, 0) is False
    assert relay.request(True, 179999) is False
    assert relay.request(True, 180000) is True


def test_the_off_time_begins_again_with_a_restart_of_the_program():
    # Its uptime goes on where only the program was started again, as from the REPL.
    output = Output()
    relay = Relay(output, 0, 180)
    relay.request(False, 0)
    relay.request(True, 200000)
    assert output.on is True
    relay = Relay(output, 0, 180)
    assert output.on is False
    assert relay.request(True, 201000) is False
    assert relay.request(True, 380999) is False
    assert relay.request(True, 381000) is True


def test_it_stays_on_for_the_minimum_on_time():
    relay = Relay(Output(), 60, 0)
    relay.request(True, 1000)
    assert relay.request(False, 60999) is True
    assert relay.request(False, 61000) is False


def test_it_stays_off_for_the_minimum_off_time():
    relay = Relay(Output(), 0, 60)
    relay.request(True, 0)
    relay.request(True, 100000)
    relay.request(False, 200000)
    assert relay.request(True, 259999) is False
    assert relay.request(True, 260000) is True


def test_off_is_immediate_and_begins_an_off_time():
    output = Output()
    relay = Relay(output, 3600, 60)
    relay.request(True, 0)
    assert relay.request(True, 60000) is True
    relay.off()
    assert relay.on is False and output.on is False
    assert relay.request(True, 70000) is False
    assert relay.request(True, 129999) is False
    assert relay.request(True, 130000) is True


def test_off_while_off_does_not_prolong_the_off_time():
    relay = Relay(Output(), 0, 60)
    relay.request(False, 0)
    relay.off()
    assert relay.request(True, 60000) is True


def test_after_the_maximum_on_time_it_rests_for_an_off_time():
    output = Output()
    relay = Relay(output, 60, 120, 600)
    relay.request(False, 0)
    assert relay.request(True, 120000) is True
    assert relay.request(True, 719999) is True
    assert relay.request(True, 720000) is False and output.on is False
    assert relay.request(True, 839999) is False
    assert relay.request(True, 840000) is True
    assert relay.cycles == 2


def test_without_a_maximum_it_may_stay_on():
    relay = Relay(Output(), 0, 0, 0)
    relay.request(True, 0)
    assert relay.request(True, 10**9) is True


def test_a_pause_begins_the_maximum_on_time_anew():
    relay = Relay(Output(), 0, 10, 600)
    for on, now_ms in ((False, 0), (True, 10000), (False, 500000), (True, 510000)):
        relay.request(on, now_ms)
    assert relay.request(True, 1109999) is True
    assert relay.request(True, 1110000) is False


def test_off_reaches_the_pin_even_if_the_relay_believes_it_is_off():
    output = Output()
    relay = Relay(output, 0, 0)
    output.on = True
    relay.off()
    assert output.on is False


def test_cycles_and_seconds_are_counted():
    relay = Relay(Output(), 0, 0)
    for on, now_ms in ((True, 1000), (True, 2000), (False, 4500), (True, 9000), (True, 10000)):
        relay.request(on, now_ms)
    assert (relay.cycles, relay.on_s) == (2, 4)
    relay.off()
    relay.request(False, 60000)
    assert (relay.cycles, relay.on_s) == (2, 4)


def test_the_pin_is_switched_only_when_the_state_changes():
    output = Output()
    relay = Relay(output, 0, 0)
    for now_ms in range(10):
        relay.request(True, now_ms)
    assert output.history == [False, True]


def test_no_sequence_gets_around_the_times():
    random.seed(5)
    for _ in range(20):
        output = Output()
        relay = Relay(output, 30, 50, 90)
        relay.request(False, 0)
        now_ms = changed_ms = 0
        was_on = False
        for _ in range(300):
            now_ms += random.randint(0, 20000)
            at_once = random.getrandbits(4) == 0
            if at_once:
                relay.off()
            if random.getrandbits(6) == 0:
                at_once = True
                relay = Relay(output, 30, 50, 90)
            # Mostly on: else nothing would ever be on for long.
            relay.request(random.getrandbits(2) > 0, now_ms)
            assert relay.on is output.on
            if relay.on and not was_on:
                assert now_ms - changed_ms >= 50000, now_ms
            if was_on and not relay.on and not at_once:
                assert now_ms - changed_ms >= 30000, now_ms
            if relay.on and was_on:
                assert now_ms - changed_ms < 90000, now_ms
            if relay.on != was_on:
                was_on = relay.on
                changed_ms = now_ms
