"""A simulated house and its weather, and a thermostat that heats it through real relays.

The house has four stores of heat, each of one temperature, with conductances between them:

    heater ──► radiator ──► air ◄──► walls ──► outside
                             │ └─────────────► outside (panes, leaks, the open window)
                             └──► thermometer

Solved by Euler's method; the fastest store, the thermometer, has a time constant of 3 minutes, so
steps of up to a minute are stable. The numbers are those of a room of 25 m² with old windows: it
needs 1.5 kW at −12 °C outside, from a radiator that 2 kW heat.
"""

import math

from firmware.control.heating import Regulation
from settings import settings as all_settings

# J/K
_AIR = 400e3  # with the furniture
_WALLS = 6e6
_RADIATOR = 80e3  # 12 l of water, 60 kg of steel
# W/K
_AIR_WALLS = 180
_AIR_OUTSIDE = 22
_WALLS_OUTSIDE = 30
_RADIATOR_AIR = 45
_WINDOW = 150

_THERMOMETER_S = 180  # its time constant in its case on the wall
_RESOLUTION_C = 0.0625  # of a DS18B20

HEATER_W = 2000
COOLER_W = 1500

DAY_S = 86400
_CLOUDS = (0.2, 0.9, 0.6, 0.0, 1.0, 0.4, 0.8)  # how much of the sun comes through on each day


def outside_c(time_s):
    """A winter week that begins at midnight: 3 °C on the first days, −12 °C in its coldest night,
    coldest at 5 o'clock.
    """
    cold_snap = 10 * math.exp(-(((time_s / DAY_S - 4.2) / 1.1) ** 2))
    daily = 3.5 * math.cos(2 * math.pi * (time_s / DAY_S - 17 / 24))
    return 1.5 - cold_snap + daily


def sun_w(time_s):
    """What the sun brings in through the windows, from 8 to 17 o'clock."""
    hour = time_s % DAY_S / 3600
    if not 8 < hour < 17:
        return 0
    return 700 * _CLOUDS[int(time_s // DAY_S) % 7] * math.sin(math.pi * (hour - 8) / 9)


def window_open(time_s):
    """Ten minutes at seven in the morning, and an hour one evening when it was forgotten."""
    second = time_s % DAY_S
    if time_s // DAY_S == 2 and 19 * 3600 <= second < 20 * 3600:
        return True
    return 7 * 3600 <= second < 7 * 3600 + 600


class House:
    """air_c, walls_c, radiator_c, thermometer_c: its temperatures."""

    def __init__(self, start_c=18):
        self.air_c = self.walls_c = self.radiator_c = self.thermometer_c = start_c

    def step(self, step_s, outside, sun=0, window=False, heat_w=0, cool_w=0):
        air = self.air_c
        walls = self.walls_c
        radiator = self.radiator_c
        to_air = _RADIATOR_AIR * (radiator - air)
        to_walls = _AIR_WALLS * (air - walls)
        leaks = (_AIR_OUTSIDE + _WINDOW if window else _AIR_OUTSIDE) * (air - outside)
        self.radiator_c += (heat_w - to_air) * step_s / _RADIATOR
        self.air_c += (to_air - to_walls - leaks + sun / 2 - cool_w) * step_s / _AIR
        self.walls_c += (to_walls + sun / 2 - _WALLS_OUTSIDE * (walls - outside)) * step_s / _WALLS
        self.thermometer_c += (air - self.thermometer_c) * step_s / _THERMOMETER_S

    def reading(self):
        """What the thermometer says, in the steps that it has."""
        return round(self.thermometer_c / _RESOLUTION_C) * _RESOLUTION_C


def settings(**changes):
    """The `thermostat` section as the configuration hands it over; every default filled in."""
    section = {"sensor": "temperature", "relay": {"pin": 26}}
    section.update(changes)
    sensors = [{"prop": "temperature", "driver": "room"}]
    return all_settings(sensors=sensors, thermostat=section)["thermostat"]


STAGE2 = {"pin": 27}
COOLER = {"pin": 25}


class Output:
    """A pin, as a board has it."""

    on = True

    def set(self, on):
        self.on = on


class Rig:
    """A thermostat with its relays, as the firmware has them, at the time `now_ms`."""

    range_c = (-55, 125)

    def __init__(self, section, now_ms=0):
        self.settings = section
        self.now_ms = now_ms
        self.outputs = {}
        self.start()

    def start(self):
        """Power-up, or a restart: everything forgets; the pins go to what they are told."""
        self.regulation = Regulation(self.settings, self._output, self.range_c, self.now_ms)
        self.thermostat = self.regulation.thermostat

    def _output(self, pin, active):
        if pin not in self.outputs:
            self.outputs[pin] = Output()
        return self.outputs[pin]

    def step(self, step_ms, reading=None):
        """Time passes; a reading is taken, or not; the relays are switched."""
        self.now_ms += step_ms
        if reading is not None:
            self.thermostat.reading(reading, self.now_ms)
        self.regulation.step(self.now_ms)

    def on(self, pin):
        return pin in self.outputs and self.outputs[pin].on

    @property
    def heat(self):
        return self.on(26)

    @property
    def heat2(self):
        return self.on(27)

    @property
    def cool(self):
        return self.on(25)


# The two regulators in the same house, for docs/measured.md: csipio bench measures these too.

HEADINGS = "regulator   overshoot, K  RMS error, K  with sun and windows, K  switchings an hour"
TABLE = "%-10s  %12.2f  %12.2f  %23.2f  %18.2f"


def compare(days=7, step_s=10):
    """[(name, (overshoot, RMS error, RMS error with sun and windows, switchings an hour))].

    A house at 16 °C is heated to 21 °C. The overshoot is that of the air in the first half day,
    the error that from the second day on; these and the switchings are without sun, and with the
    windows shut.
    """
    found = []
    for name in ("hysteresis", "pi"):
        section = settings(regulator=name)
        overshoot, error, switchings = _measure(section, False, days, step_s)
        found.append(
            (name, (overshoot, error, _measure(section, True, days, step_s)[1], switchings))
        )
    return found


def _measure(section, weather, days, step_s):
    house = House(16)
    rig = Rig(section)
    target = section["setpoint"]
    overshoot = squares = 0
    for time_s in range(0, days * DAY_S, step_s):
        house.step(
            step_s,
            outside_c(time_s),
            sun_w(time_s) if weather else 0,
            weather and window_open(time_s),
            HEATER_W if rig.heat else 0,
        )
        rig.step(1000 * step_s, house.reading())
        error = house.air_c - target
        if time_s < DAY_S // 2:
            overshoot = max(overshoot, error)
        elif time_s >= DAY_S:
            squares += error * error
    rms = math.sqrt(squares * step_s / ((days - 1) * DAY_S))
    return overshoot, rms, rig.regulation.heater.cycles / (days * 24)
