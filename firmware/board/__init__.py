"""The hardware, behind the same names on every port. Nothing else imports what only one port has.

    reset_cause() -> str   restart(why)           Output(pin, active)   onewire(pin)
    COUNTER_SURVIVES       counter_ms() -> int    outputs               Wifi(networks)
    Retained(place)        set_time(utc_ms)       memory()              name_servers() -> list
    watchdog(timeout_ms)   at_prompt(most_ms)     networks() -> list
    chip() -> tuple        partition()

`unix.py` says what each of them promises; `esp32.py` keeps the promise on a board.
"""

import sys

if sys.platform == "esp32":
    from firmware.board import esp32 as board
else:
    from firmware.board import unix as board

__all__ = ("board",)
