"""A heated room, simulated: the temperature that a thermometer on its wall would show.

The room cools towards the outside. Every relay of the simulated board (firmware/board/unix.py)
that is on warms it, so it names no pin of its own. With the outside at T_out and the
heater lifting the room by H in the end, its temperature follows Newton's law of cooling

    T(t + dt) = T_end + (T(t) − T_end) · exp(−dt / tau),   T_end = T_out + H (heater on) or T_out

which is exact for any dt as long as the relay keeps its state; a reading assumes that the state it
finds has been kept since the last one.

With `world`, a file of JSON that is read before each reading may change it while it runs:
`{"outside": -10, "tau_s": 600, "speed": 1440, "shows": 85}`. `shows` is what the thermometer
says in place of the room's temperature: a number, or "nothing": it is broken, or "frozen": its
last one.
"""

import json
import math

from firmware.base import uptime
from firmware.board import board

# The limits are what its keys allow: from the coldest outside to the hottest heater.
MEASURES = (("temperature", "°C", -40, 140),)
SHARED = ()
KEYS = """\
start   | number | -40 to 60 °C         | 18    | the room's temperature at the start
outside | number | -40 to 40 °C         | 5     | what it cools down to
heater  | number | 1 to 100 K           | 25    | how far above outside the heater can lift it
tau_s   | number | 1 to 1000000 seconds | 10800 | time in which 63 % of a step is done
speed   | number | 1 to 3600            | 60    | simulated seconds in a real one
world   | text   | 0 to 128             | ""    | a file that changes the room meanwhile
"""


class Driver:
    def __init__(self, specs: list):
        (spec,) = specs
        if board.outputs is None:
            raise OSError("the simulated room needs the unix port's simulated board")
        self._outputs = board.outputs
        self._temp_c = spec["start"]
        self._outside_c = spec["outside"]
        self._heater_k = spec["heater"]
        self._tau_s = spec["tau_s"]
        self._speed = spec["speed"]
        self._world = spec["world"]
        self._shown = self._temp_c
        self._last_ms = uptime.ms()

    def start(self) -> int:
        return 0

    def read(self):
        pass

    def value(self, n: int) -> float:
        now_ms = uptime.ms()
        shows = self._look() if self._world else None
        heated = any(output.on for output in self._outputs.values())
        end_c = self._outside_c + (self._heater_k if heated else 0)
        decay = math.exp((self._last_ms - now_ms) * self._speed / (1000 * self._tau_s))
        self._last_ms = now_ms
        self._temp_c = end_c + (self._temp_c - end_c) * decay
        if shows == "nothing":
            raise OSError("the thermometer does not answer")
        if shows is None:
            self._shown = self._temp_c
        elif shows != "frozen":
            self._shown = shows
        return self._shown

    def _look(self):
        """Take what the file says of the room; what the thermometer shows in its place."""
        try:
            with open(self._world) as file:
                world = json.load(file)
        except (OSError, ValueError):
            return None
        self._outside_c = world["outside"]
        self._tau_s = world["tau_s"]
        self._speed = world["speed"]
        return world["shows"]
