"""The hardware, behind the same names on every port; nothing else imports what a port has alone.

    unique_id() -> bytes        restart(why)          Output(pin, active)    onewire(pin)
    reset_cause() -> str        watchdog(timeout_ms)  Wifi(networks)         set_time(utc_ms)
    counter_ms() -> int         COUNTER_SURVIVES      name_servers() -> list
    Retained()

`unix.py` says what each of them promises; `esp32.py` how a board keeps the promise.
"""

import sys

if sys.platform == "esp32":
    from firmware.board import esp32 as board
else:
    from firmware.board import unix as board

__all__ = ("board",)
