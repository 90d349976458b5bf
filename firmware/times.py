"""Points in time as others write them, in milliseconds since 1970; whole numbers all the way.

`firmware.points.clock.iso` is the other direction.
"""

# 2025-01-01. Somebody's clock that says less has just been switched on.
EARLIEST_MS = 1735689600000

_YEAR_10000_MS = 253402300800000


def utc_ms(y: int, mo: int, d: int, h: int, mi: int, s: int, ms: int = 0) -> int:
    """Milliseconds since 1970 of a UTC date and time. Raises ValueError where it is none.

    The days are counted by the proleptic Gregorian calendar; `mktime` is local time on some
    ports, and counts from 2000 on others.
    """
    leap = y % 4 == 0 and (y % 100 != 0 or y % 400 == 0)
    months = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1970 <= y <= 9999 and 1 <= mo <= 12 and 1 <= d <= months[mo - 1]):
        raise ValueError("no date")
    # A leap second is the first one of the next minute.
    if not (0 <= h <= 23 and 0 <= mi <= 59 and 0 <= s <= 60 and 0 <= ms <= 999):
        raise ValueError("no time of day")
    y1 = y - 1
    days = 365 * (y - 1970) + y1 // 4 - y1 // 100 + y1 // 400 - 477 + d - 1
    for i in range(mo - 1):
        days += months[i]
    return (((days * 24 + h) * 60 + mi) * 60 + s) * 1000 + ms


def from_iso(text: str) -> int:
    """Of `2017-05-01T14:00:57.467Z`, or with `+02:00`; the fraction of a second may be missing.

    Raises ValueError. Digits after the millisecond are cut off.
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
    ms = (
        utc_ms(
            number(text[:4]),
            number(text[5:7]),
            number(text[8:10]),
            number(text[11:13]),
            number(text[14:16]),
            number(text[17:19]),
            ms,
        )
        - east_min * 60000
    )
    if not 0 <= ms < _YEAR_10000_MS:
        raise ValueError("no date")
    return ms


def number(digits: str) -> int:
    """Of digits only: int() would take signs, spaces and underscores, too. Raises ValueError."""
    if not digits.isdigit():
        raise ValueError("expected digits")
    return int(digits)
