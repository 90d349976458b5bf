"""The weekly schedule: what a person writes, and the few bytes that it becomes.

    [{"days": "mon-fri", "at": "06:30", "preset": "home"},
     {"days": "sat,sun", "at": "08:00", "setpoint": 21.5},
     {"days": "daily",   "at": "22:30", "preset": "sleep"}]

Days are `mon` to `sun`, with `-` and `,` between them, or `daily`; times are local. An entry may
also be written short, `"mon-fri 06:30 home"`. It is kept as one number of 30 bits: the days, a bit
each; the minute of the day; and a preset's number, or hundredths of a degree. This module reads
and writes schedules. firmware/control/program.py carries them out.
"""

from array import array

from micropython import const

from firmware.control.limits import PRESETS, SCHEDULE_ENTRIES, SETPOINT_C

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE_SHIFT = const(12)
_DAYS_SHIFT = const(23)
# The schedule in force is reported as one value, the longest of which is 1 KiB.
_LONGEST = const(1000)


def compiled(entries) -> array:
    """A schedule as numbers.

    entries: the list, or {"entries": list} (the platform's objects are never lists), or what
    `text` returned. Raises ValueError(where it is wrong, such as `[2].at`, words).
    """
    if type(entries) is dict and len(entries) == 1:
        entries = entries.get("entries")
    elif type(entries) is str:
        entries = entries.split(";") if entries else []
    if type(entries) is not list or len(entries) > SCHEDULE_ENTRIES:
        got = "%d" % len(entries) if type(entries) is list else "something else"
        expected = "expected a list of at most %d entries, got %s" % (SCHEDULE_ENTRIES, got)
        raise ValueError("", expected)
    numbers = array("I")
    for i, entry in enumerate(entries):
        number = _number("[%d]" % i, entry)
        for j, other in enumerate(numbers):
            # The same minute, and a day in common.
            if not (number ^ other) >> _MINUTE_SHIFT & 0x7FF and (number & other) >> _DAYS_SHIFT:
                raise ValueError("[%d]" % i, "it is at the same time as entry [%d]" % j)
        numbers.append(number)
    if len(text(numbers)) > _LONGEST:
        raise ValueError("", "expected a shorter one: join the days that are the same")
    return numbers


def entries(numbers) -> list:
    """A schedule as people write it; every entry short where it would be too long otherwise."""
    whole = []
    size = 0
    for number in numbers:
        days, at, what = _words(number)
        size += 45 + len(days)
        key = "setpoint" if what not in PRESETS else "preset"
        whole.append({"days": days, "at": at, key: what})
    if size <= _LONGEST:
        return whole
    return text(numbers).split(";")


def text(numbers) -> str:
    """A schedule as one line: `mon-fri 06:30 home;daily 22:30 18.0`."""
    return ";".join(["%s %s %s" % _words(number) for number in numbers])


def _number(where, entry):
    if type(entry) is str:
        words = entry.split(" ")
        if len(words) != 3:
            raise ValueError(where, 'expected days, time and preset, as in "mon-fri 06:30 home"')
        entry = {"days": words[0], "at": words[1], "preset": words[2]}
        if words[2] not in PRESETS:
            entry = {"days": words[0], "at": words[1], "setpoint": _float(words[2])}
    if type(entry) is not dict:
        raise ValueError(where, "expected an object with days, at, and preset or setpoint")
    for key in entry:
        if key not in ("days", "at", "preset", "setpoint"):
            expected = "unknown key; expected days, at, and preset or setpoint"
            raise ValueError("%s.%s" % (where, key[:20]), expected)
    if ("preset" in entry) == ("setpoint" in entry):
        raise ValueError(where, "expected either a preset or a setpoint")
    days = _days(entry.get("days"))
    if not days:
        raise ValueError(where + ".days", 'expected days such as "mon-fri", "sat,sun" or "daily"')
    minute = _minute(entry.get("at"))
    if minute is None:
        raise ValueError(where + ".at", 'expected a time from "00:00" to "23:59"')
    if "preset" in entry:
        if entry["preset"] not in PRESETS:
            raise ValueError(where + ".preset", "expected one of " + ", ".join(PRESETS))
        value = PRESETS.index(entry["preset"])
    else:
        setpoint = entry["setpoint"]
        lowest, highest = SETPOINT_C
        if type(setpoint) not in (int, float) or not lowest <= setpoint <= highest:
            raise ValueError(where + ".setpoint", "expected %s to %s °C" % SETPOINT_C)
        value = int(setpoint * 100 + 0.5)
    return days << _DAYS_SHIFT | minute << _MINUTE_SHIFT | value


def _days(text):
    """The bits of `mon-fri,sun`; 0 for what is no days."""
    if text == "daily":
        return 0x7F
    bits = 0
    for part in text.split(",") if type(text) is str else ("",):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            return 0
        day = _DAYS.index(first)
        end = _DAYS.index(last) if dash else day
        bits |= 1 << day
        while day != end:  # fri-mon is four days, too
            day = (day + 1) % 7
            bits |= 1 << day
    return bits


def _minute(text):
    """The minute of the day of `06:30`, or None."""
    if type(text) is not str or len(text) != 5 or text[2] != ":":
        return None
    if not (text[:2].isdigit() and text[3:].isdigit()):
        return None
    hour, minute = int(text[:2]), int(text[3:])
    return 60 * hour + minute if hour < 24 and minute < 60 else None


def _float(text):
    try:
        return float(text)
    except ValueError:
        return None


def _words(number):
    """(days, time, preset or temperature) of an entry."""
    bits = number >> _DAYS_SHIFT
    runs = []
    day = 0
    while day < 7:
        end = day
        while end < 6 and bits >> end + 1 & 1:
            end += 1
        if bits >> day & 1:
            if end - day < 2:
                runs.extend(_DAYS[day : end + 1])
            else:
                runs.append("%s-%s" % (_DAYS[day], _DAYS[end]))
            day = end
        day += 1
    minute = number >> _MINUTE_SHIFT & 0x7FF
    value = number & 0xFFF
    what = PRESETS[value] if value < len(PRESETS) else value / 100
    days = "daily" if bits == 0x7F else ",".join(runs)
    return days, "%02d:%02d" % (minute // 60, minute % 60), what
