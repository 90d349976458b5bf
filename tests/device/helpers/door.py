"""A device's controls and the door for commands to them, as their tests use it."""

import json

from firmware.commands.door import Commands
from firmware.commands.store import Store
from firmware.control import schedule
from firmware.control.program import Program
from firmware.times.calendar import iso
from firmware.times.clock import Clock

T0 = 1795344000000  # 2026-11-22T10:40:00Z


class Lines:
    """A log that remembers; its text must fit its values, as the real one's must."""

    def __init__(self):
        self.infos = []
        self.warnings = []
        self.errors = []

    def info(self, text, *values):
        self.infos.append(text % values)

    def warning(self, text, *values):
        self.warnings.append(text % values)

    def error(self, text, *values):
        self.errors.append(text % values)


class Thermostat:
    def __init__(self):
        self.mode = "heat"
        self.modes = ("off", "heat")
        self.setpoint = 21.0
        self.setpoint_cool = 26.0


class Queue:
    max_age_ms = 10000


class Time:
    ms = 1000

    def __call__(self):
        return self.ms


class Door:
    """A device's controls, its commands, what they answer, and a store in the current folder."""

    def __init__(self, regulated=True, known=True, utc_ms=T0, entries=()):
        self.time = Time()
        self.clock = Clock(self.time)
        if known:
            self.clock.set(utc_ms, self.time.ms)
        self.thermostat = self.program = None
        if regulated:
            self.thermostat = Thermostat()
            values = (21.0, 26.0), (16.0, 30.0), (18.0, 27.0), (24.0, 23.0)
            presets = {}
            for name, (setpoint, cool) in zip(schedule.PRESETS, values):
                presets[name] = {"setpoint": setpoint, "setpoint_cool": cool}
            section = {"presets": presets, "boost_s": 3600, "schedule": list(entries)}
            self.program = Program(
                {"thermostat": section, "time": {"zone": "UTC0"}}, self.thermostat
            )
        self.queue = Queue()
        self.restarts = 0
        self.identified = []
        self.log = Lines()
        self.answers = []
        self.times = []
        self.store = Store()
        self.commands = Commands(self, self.answer, self.store, self.clock, self.log)
        self.commands.restore()
        self.handle = self.commands.handle

    def restart(self, why="command", at_ms=0):
        assert why == "command"
        self.restarts += 1
        self.restart_ms = at_ms

    def reached(self):
        return ["mqtt", "https"]

    def identify(self, seconds):
        self.identified.append(seconds)

    def answer(self, name, value, utc_ms=None):
        json.dumps(value)
        self.answers.append((name, value))
        self.times.append(utc_ms if utc_ms is not None else self.clock.now())

    def pass_s(self, seconds):
        """Time passes, as the device's loop sees it."""
        for _ in range(seconds):
            self.time.ms += 1000
            utc_s = self.clock.now() // 1000 if self.clock.known else None
            if self.program:
                names = self.program.step(utc_s, self.time.ms)
                if names:
                    self.commands.changed(names)
            self.commands.tick(self.time.ms)

    def recover(self, *found):
        """A state with one property, or with several, each (name, value, ms since 1970)."""
        for part in (found,) if found and type(found[0]) is str else found:
            self.commands.recover(*part)
        self.commands.recovered()

    def again(self, **settings):
        """After a restart."""
        self.store.flush()
        settings["utc_ms"] = self.clock.now() + 5000
        return Door(**settings)

    def take(self):
        taken = self.answers[:]
        self.answers.clear()
        self.times.clear()
        return taken

    def values(self):
        """All but lastcommand."""
        return [answer for answer in self.take() if answer[0] != "lastcommand"]

    def in_force(self, name):
        part = self.thermostat if name == "mode" else self.program
        return getattr(part, name)

    def refuses(self, name, payload, reason):
        before = self.in_force(name)
        assert self.handle(name, payload) is False
        assert self.in_force(name) == before
        assert self.log.warnings.pop() == "command %s refused: %s" % (name, reason)
        last = verdict(name, reason, self.clock.now())
        assert self.answers == [(name, before), ("lastcommand", last)]
        self.take()


def verdict(name, reason="", utc_ms=T0):
    return {"property": name, "ok": not reason, "reason": reason, "time": iso(utc_ms)}
