"""A Program with four presets and a thermostat of its own, as its tests use it."""

from firmware.control.limits import PRESETS
from firmware.control.program import Program
from firmware.times.calendar import from_iso
from model import span

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SYDNEY = "AEST-10AEDT,M10.1.0,M4.1.0/3"
WEEK = [
    {"days": "mon-fri", "at": "06:30", "preset": "home"},
    {"days": "mon-fri", "at": "08:00", "preset": "away"},
    {"days": "sat,sun", "at": "09:00", "setpoint": 21.5},
    {"days": "daily", "at": "22:30", "preset": "sleep"},
]
HOME, AWAY, SLEEP, BOOST = (21.0, 26.0), (16.0, 30.0), (18.0, 27.0), (24.0, 23.0)


class Thermostat:
    setpoint = 20.0
    setpoint_cool = 25.0


def make(entries=(), zone="UTC0", boost_s=3600):
    presets = {}
    for name, (setpoint, cool) in zip(PRESETS, (HOME, AWAY, SLEEP, BOOST)):
        presets[name] = {"setpoint": setpoint, "setpoint_cool": cool}
    regulated = {"presets": presets, "boost_s": boost_s, "schedule": list(entries)}
    return Program(regulated, zone, Thermostat())


def utc(text):
    return from_iso(text + "Z") // 1000


def state(program):
    return program.preset, program.get("setpoint"), program.get("setpoint_cool")


def run(program, begin, end, step_s=60):
    """[(utc, set point), …] of what happened by itself."""
    found = []
    for now in span(begin, end, step_s):
        if "setpoint" in program.step(now, 0):
            found.append((now, program.get("setpoint")))
    return found
