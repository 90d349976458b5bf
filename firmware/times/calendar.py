"""Dates and times of day as milliseconds since 1970, in whole numbers all the way.

The port's own `time.gmtime` and `mktime` are not used: they end in 2038 or 2068, and count from
1970 or from 2000. The calendar is the proleptic Gregorian one.
"""

from firmware.base.rare import rare

DAY_S = 86400

# 2025-01-01. A clock that says less was never set since its power came.
EARLIEST_MS = 1735689600000

_YEAR_10000_MS = 253402300800000


def days(year: int, month: int) -> int:
    """Days from 1970-01-01 to the first day of a month; month 13 is the next year's January."""
    y = year - 1
    n = 365 * (year - 1970) + y // 4 - y // 100 + y // 400 - 477
    for m in range(1, month):
        n += 28 + is_leap(year) if m == 2 else 30 + (m + m // 8) % 2
    return n


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@rare
def utc_ms(y: int, mo: int, d: int, h: int, mi: int, s: int, ms: int = 0) -> int:
    """Milliseconds since 1970 of a UTC date and time. Raises ValueError if there is no such."""
    if not (1970 <= y <= 9999 and 1 <= mo <= 12 and 1 <= d <= days(y, mo + 1) - days(y, mo)):
        raise ValueError("no date")
    # A leap second is the first one of the next minute.
    if not (0 <= h <= 23 and 0 <= mi <= 59 and 0 <= s <= 60 and 0 <= ms <= 999):
        raise ValueError("no time of day")
    return ((((days(y, mo) + d - 1) * 24 + h) * 60 + mi) * 60 + s) * 1000 + ms


@rare
def from_iso(text: str) -> int:
    """Milliseconds since 1970 of `2017-05-01T14:00:57.467Z`, or with `+02:00` in place of the Z.

    The fraction of a second may be missing; the digits after its third count for nothing.
    """
    if len(text) < 20 or text[4] + text[7] + text[10] + text[13] + text[16] != "--T::":
        raise ValueError("expected a time as 2026-11-22T16:00:00Z")
    ms = 0
    end = 19
    if text[end] == ".":
        end += 1
        while text[end : end + 1].isdigit():
            end += 1
        ms = number((text[20:end] + "00")[:3])
    zone = text[end:]
    east_min = 0
    if zone != "Z":
        if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
            raise ValueError("expected a time that ends in Z or in an offset as +02:00")
        east_min = utc_ms(1970, 1, 1, number(zone[1:3]), number(zone[4:]), 0) // 60000
        if zone[0] == "-":
            east_min = -east_min
    parts = text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19]
    ms = utc_ms(*([number(part) for part in parts] + [ms])) - east_min * 60000
    if not 0 <= ms < _YEAR_10000_MS:
        raise ValueError("no date")
    return ms


@rare
def number(digits: str) -> int:
    """The number that digits say, or ValueError. int() would take signs and spaces, too."""
    if not digits.isdigit():
        raise ValueError("expected digits")
    return int(digits)


def iso(t: int) -> str:
    """ISO 8601 of milliseconds since 1970, as the platform's Data Feed wants it.

    The year follows from the days since 1 March of year 0, as in Howard Hinnant's civil_from_days.
    """
    s = t // 1000
    days = s // DAY_S + 719468
    era, day = divmod(days, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        400 * era + year + month // 10,
        (month + 2) % 12 + 1,
        day - (153 * month + 2) // 5 + 1,
        s // 3600 % 24,
        s // 60 % 60,
        s % 60,
        t % 1000,
    )
