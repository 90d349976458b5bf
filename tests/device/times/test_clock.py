"""The clock: UTC from uptime, by steps and slews, over every rollover and on either epoch."""

import sys
import time as system_time

from firmware.base import uptime
from firmware.times.calendar import iso
from firmware.times.clock import Clock, system_ms
from model import T0, Time, known_clock, parse

_30 = 1 << 30


def test_before_it_is_known_the_clock_is_the_uptime():
    time = Time(1234)
    clock = Clock(time)
    assert not clock.known
    assert clock.now() == 1234


def test_the_first_setting_counts_for_the_moment_it_was_measured_at():
    time = Time(5000)
    clock = Clock(time)
    time.ms = 6000
    clock.set(T0, 5500)
    assert clock.known
    assert clock.now() == T0 + 500
    assert clock.first_offset == T0 - 5500


def test_less_than_a_second_is_slewed_forwards_by_1_in_32():
    time = Time()
    clock = known_clock(time)
    clock.set(T0 + 100, 0)
    assert clock.now() == T0
    time.ms = 320
    assert clock.now() == T0 + 330
    time.ms = 3200
    assert clock.now() == T0 + 3300
    time.ms = 9000
    assert clock.now() == T0 + 9100
    assert clock.first_offset == T0


def test_slewing_takes_as_long_however_often_the_time_is_asked():
    for every in (1, 7, 31, 33, 63, 500):
        time = Time()
        clock = known_clock(time)
        clock.set(T0 + 100, 0)
        while time.ms < 3200:
            time.ms += every
            clock.now()
        assert abs(clock.now() - time.ms - T0 - 100) <= 1, every


def test_slewing_backwards_never_stands_still():
    time = Time()
    clock = known_clock(time)
    clock.set(T0 - 999, 0)
    last = clock.now()
    for _ in range(40000):
        time.ms += 2
        now = clock.now()
        assert now > last
        last = now
    assert last == T0 - 999 + time.ms


def test_a_new_measurement_replaces_what_was_owed():
    time = Time()
    clock = known_clock(time)
    clock.set(T0 + 500, 0)
    time.ms = 320
    clock.now()
    clock.set(T0 + 330, 320)
    time.ms = 100000
    assert clock.now() == T0 + 100010


def test_a_second_and_more_is_a_step():
    for step in (1000, -1000, 7200000, -7200000):
        time = Time()
        clock = known_clock(time)
        clock.set(T0 + 300, 0)  # what is owed must not be added to a step
        clock.set(T0 + step, 0)
        assert clock.now() == T0 + step
        time.ms = 100000
        assert clock.now() == T0 + step + 100000


def test_iso_writes_every_day_of_four_centuries():
    for day in range(0, 146097 + 365, 11):
        ms = day * 86400000 + 86399999 - day
        assert parse(iso(ms)) == ms


def test_iso_at_the_edges_of_hours_years_and_leap_days():
    for ms, text in (
        (0, "1970-01-01T00:00:00.000Z"),
        (951782399999, "2000-02-28T23:59:59.999Z"),
        (951782400000, "2000-02-29T00:00:00.000Z"),
        (1835395199999, "2028-02-28T23:59:59.999Z"),
        (1835395200000, "2028-02-29T00:00:00.000Z"),
        (1798761599999, "2026-12-31T23:59:59.999Z"),
        (1798761600000, "2027-01-01T00:00:00.000Z"),
        (4294967296000, "2106-02-07T06:28:16.000Z"),
    ):
        assert iso(ms) == text
        assert parse(text) == ms


_2000_S = 946684800  # since 1970
_HERE_S = {1970: 0, 2000: _2000_S}[system_time.gmtime(0)[0]]


class Port2000:
    """The time module of a port whose epoch is 2000 and whose gmtime has eight fields."""

    @staticmethod
    def gmtime(s):
        return system_time.gmtime(s + _2000_S - _HERE_S)[:8]

    @staticmethod
    def time_ns():
        return system_time.time_ns() - (_2000_S - _HERE_S) * 1000000000


def test_the_epoch_of_2000_makes_no_difference():
    module = sys.modules["firmware.times.clock"]
    before = module.time, module.UNIX_EPOCH_S
    here = system_ms()
    module.time = Port2000
    module.UNIX_EPOCH_S = _2000_S
    try:
        assert iso(1835395200123) == "2028-02-29T00:00:00.123Z"
        assert iso(0) == "1970-01-01T00:00:00.000Z"
        assert 0 <= system_ms() - here < 5000
    finally:
        module.time, module.UNIX_EPOCH_S = before


def test_the_epoch_is_derived_from_gmtime():
    module = sys.modules["firmware.times.clock"]
    assert module.UNIX_EPOCH_S == _HERE_S
    assert module.epoch_s(Port2000.gmtime) == _2000_S


class WrappingTicks:
    """Stands for the module time: an ESP32's ticks, which wrap at 2**30."""

    now = _30 - 50

    def ticks_ms(self):
        return self.now

    def ticks_diff(self, a, b):
        return (a - b + _30 // 2) % _30 - _30 // 2


def test_uptime_goes_on_where_ticks_wrap():
    kept = uptime.time, uptime._last
    uptime.time = ticks = WrappingTicks()
    uptime._last = ticks.now
    try:
        clock = Clock(uptime.ms)
        clock.set(T0, uptime.ms())
        last = T0
        for _ in range(4000):
            ticks.now = (ticks.now + 1000003) % _30
            now = clock.now()
            assert now == last + 1000003
            last = now
        assert last > T0 + 3 * _30
    finally:
        uptime.time, uptime._last = kept
