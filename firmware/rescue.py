"""What is left where firmware.app cannot be imported: a file of it is damaged, or memory is short.

It imports nothing else of the firmware, as that may be what dies; so it knows by heart what it
shares with board/esp32.py, board/unix.py and supervision/faults.py. The relays go off: a board
that restarts itself keeps its pins as they were. The start counts as one that ended early.
"""

import gc
import io
import json
import sys
import time

from firmware import VERSION

_AGAIN_S = 10  # to the next start
_TAIL = 700  # characters of the traceback
_MARK = b"CTh3"
_SIZE, _REASON, _COUNT = 13, 8, 9  # of the RTC's memory


def died(error) -> None:
    """The import died of that: the relays off, the fault on flash, and another start. Ctrl-C, then
    or as that error, gives the prompt, and ends the row of starts.
    """
    if "allocat" in str(error) and sys.platform != "esp32":
        raise error  # the heap is too small, and whoever gave it that heap is told
    pressed = isinstance(error, KeyboardInterrupt)
    steps = [_relays_off]
    if not pressed:
        sys.print_exception(error)
        gc.collect()
        steps += [_count, lambda: _keep(error)]
    try:
        for step in steps:
            try:
                step()
            except Exception as another:  # the other steps are still to come
                sys.print_exception(another)
        if not pressed:
            text = "The firmware cannot be loaded; restarting in %d s. Ctrl-C gives the prompt."
            print(text % _AGAIN_S)
            time.sleep(_AGAIN_S)
            _restart()
            return
    except KeyboardInterrupt:
        _relays_off()
    _count(0)
    print("Stopped; the relay is off. To go on: Ctrl-D. To mend it: csipio deploy.")


def _relays_off():
    try:
        with open("config.good.json") as file:
            regulated = json.load(file).get("thermostat") or {}
    except OSError:
        return  # nothing ever ran well
    for name in ("relay", "stage2", "cooler"):
        relay = regulated.get(name)
        if relay and sys.platform == "esp32":
            from machine import Pin

            Pin(relay["pin"], Pin.OUT, value=int(relay.get("active") == "low"))


def _count(more: int = 1):
    """One more start that ended early; 0: none."""
    if sys.platform == "esp32":
        from machine import RTC

        kept = bytearray(RTC().memory()[:_SIZE])
        if kept[:4] != _MARK or len(kept) != _SIZE:
            kept = bytearray(_SIZE)
            kept[:4] = _MARK
        kept[_REASON] = more  # the first of the reasons: a failure
        kept[_COUNT] = more and min(kept[_COUNT] + more, 255)
        RTC().memory(kept)
        return
    kept = bytearray(8)
    try:
        with open("retained", "rb") as file:
            file.readinto(kept)
    except OSError:
        pass
    kept[4] = more and kept[4] + more
    with open("retained", "wb") as file:
        file.write(kept)


def _keep(error):
    text = io.StringIO()
    sys.print_exception(error, text)
    with open("lastfault.txt", "w") as file:
        file.write("the import, firmware %s\n" % VERSION + text.getvalue()[-_TAIL:])


def _restart():
    if sys.platform == "esp32":
        import machine

        machine.reset()
        return
    with open("restarted", "w") as file:
        file.write("failure")
    sys.exit(75)
