"""What was set before the start, and while nobody was connected.

Imported for what it does, and forgotten after it.
"""

from micropython import const

from firmware.base import kinds
from firmware.commands import apply

_AHEAD_MS = const(10000)  # the platform's clock is not further than this
_MOMENTS = ("restart", "identify", "config")  # what these did is over, or in the configuration


def tried(named: list, store) -> list:
    """Which of the properties that the configuration on trial names were not set after it came.

    named: none where there is no trial. Those set since are in `store`, as the value of `config`.
    """
    since = store.get("config")
    if not since or type(since[0]) is not list:
        return named
    if not named:
        store.put("config", None, since[1])
    return [name for name in named if name not in since[0]]


def restore(rows: list, door, controls, store, log) -> None:
    """At the start: what was in force before it, where somebody has set that."""
    for row in rows:
        kept = store.get(row[0]) if row else None
        if not kept or kept[0] is None or row[0] in _MOMENTS:
            continue
        try:
            apply.restore(controls, row, door.limits(row), kept[0], kept[1] // 1000)
        except Exception as error:
            log.warning("%s of the last run is not used: %s", row[0], apply.words(row[0], error))
    before = store.get("before")
    program = controls.program
    if before and program and program.preset == "boost" and before[0]:
        program.restore("before", before[0], None)


def next_of(missed: dict, door, controls, store, clock, untold: list):
    """Which command that was missed is next to be put in force, as if it had come in time.

    The oldest is taken out of `missed`: (row, value, ms since 1970), or None if it is nothing.

    missed: {name: [ms since 1970, …, name, value, what `store` had]}; door: the Commands; untold:
    gets the names of what the program has changed until then, to be told in the end.
    """
    program = controls.program
    if program:
        _rewind(program, missed)
    utc_ms, _, name, value, kept_ms = min(missed.values())
    del missed[name]
    if utc_ms <= kept_ms:
        return None
    row = door.row(name)
    try:
        if program and utc_ms <= clock.now():
            untold.extend(_catch_up(door, program, utc_ms, clock.uptime_ms()))
        shown = value
        if name == "identify" and kinds.fits(row[1], row[2], value):
            # As long as if it had come in time.
            value = max(0, value - max(0, clock.now() - utc_ms) // 1000)
        if not _is_known(door, clock, store, name, value, utc_ms, kept_ms):
            return row, value, utc_ms
        door.keep(name, utc_ms, False)
        if shown and name in ("restart", "identify"):
            door.told.discard(name)
            untold.append(name)
        else:
            door.told.add(name)
    except Exception as error:  # too deep to be compared, or whatever else
        door.refused(row, name, error, utc_ms, utc_ms + 1)
    return None


def _rewind(program, missed):
    """Undo what the schedule did since, for what outlasts it; then nothing is too late for it."""
    for utc_ms, _, name, value, _ in missed.values():
        outlasts = name == "hold_until" or value == "boost"
        if outlasts and program.can_rewind(utc_ms // 1000):
            program.rewind()
            for part in missed.values():
                if part[0] <= part[-1]:
                    part[-1] = -1
            return


def _catch_up(door, program, utc_ms, now_ms):
    """What the program would have changed by then; to be told at the end, if it lasts."""
    names = program.catch_up(utc_ms // 1000, now_ms)
    if names:
        at_ms = 1000 * (program.changed_s or utc_ms // 1000) + 1
        door.decided(names, (), at_ms)
        if "preset" in names and program.preset != "manual":
            door.decided(("setpoint", "setpoint_cool"), names, at_ms)
    return names


def is_in_force(door, name: str, value) -> bool:
    """Whether what the platform has is so."""
    try:
        return apply.is_known(name, value, door.in_force(name))
    except Exception:  # it does not even fit
        return False


def _is_known(door, clock, store, name, value, utc_ms, kept_ms):
    """Whether what was missed is an answer, or is over.

    `kept_ms`: what the device had of it when the state came; 0: it has nothing, or lost it.
    """
    if name in ("restart", "identify"):
        # What was wanted before this start is done, or too late; so is, where the platform's clock
        # is ahead, the restart that this start comes of.
        start_ms = clock.now() - clock.uptime_ms()
        if name == "restart" and kept_ms < start_ms:
            start_ms = max(start_ms, kept_ms + _AHEAD_MS)
        return not value or utc_ms < start_ms
    if not apply.is_known(name, value, door.in_force(name)):
        return False
    # Or it may be news that this holds from then on: a set point ends a boost to the same.
    if name == "config" or not kept_ms:
        return True
    return kept_ms > 0 and utc_ms <= store.time(name)
