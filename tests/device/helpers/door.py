"""A device's controls and the door for commands to them, as their tests use it."""

import json
import os

from firmware.commands.apply import Settable
from firmware.commands.device import Device
from firmware.commands.door import Commands
from firmware.commands.store import Store
from firmware.commands.table import TABLE
from firmware.control.limits import PRESETS
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

    def get(self, name):
        assert name == "mode"
        return self.mode

    def put(self, name, value, utc_s=None):
        assert name == "mode"
        self.mode = value

    def limits(self, name):
        return self.modes


class Queue:
    max_age_ms = 10000


class Time:
    ms = 1000

    def __call__(self):
        return self.ms


class Noted(Device):
    """Notes for how long it is to show itself."""

    def put(self, name, value, utc_s=None):
        if name == "identify":
            self.identified.append(value)
        return super().put(name, value, utc_s)


class Door:
    """A device's owners of commands, the door to them, what it answers, and a store in the current
    folder.

    program: the class of the program. tried, failed: as for Commands.restore. more: other owners;
    rows: in place of the table's.
    """

    def __init__(
        self,
        regulated=True,
        known=True,
        utc_ms=T0,
        entries=(),
        tried=(),
        failed=None,
        program=Program,
        answer=None,
        more=(),
        rows=TABLE,
    ):
        self.time = Time()
        self.clock = Clock(self.time)
        if known:
            self.clock.set(utc_ms, self.time.ms)
        self.queue = Queue()
        self.restarts = 0
        self.proposed = []
        self.proposal = ({}, False)  # what comes of a proposed configuration, or what it raises
        self.log = Lines()
        self.answers = []
        self.times = []
        self.store = Store()
        device = Noted(self.queue, lambda: self.restart(), self.propose)
        self.identified = device.identified = []
        self.owners = {"device": device}
        self.owners.update(more)
        self.thermostat = self.program = None
        if regulated:
            self.thermostat = Thermostat()
            values = (21.0, 26.0), (16.0, 30.0), (18.0, 27.0), (24.0, 23.0)
            presets = {}
            for name, (setpoint, cool) in zip(PRESETS, values):
                presets[name] = {"setpoint": setpoint, "setpoint_cool": cool}
            section = {"presets": presets, "boost_s": 3600, "schedule": list(entries)}
            self.program = program(section, "UTC0", self.thermostat)
            self.owners["thermostat"] = self.thermostat
            self.owners["program"] = self.program
        self.settable = Settable(self.owners, rows)
        self.commands = Commands(
            self.owners,
            answer or self.answer,
            self.store,
            self.clock,
            log=lambda room: self.log,
            rows=rows,
        )
        self.commands.restore(tried, failed)
        self.handle = self.commands.handle

    def restart(self):
        self.restarts += 1

    def propose(self, part):
        self.proposed.append(part)
        if isinstance(self.proposal, Exception):
            raise self.proposal
        return self.proposal

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
        return self.settable.get(self.settable.row(name))

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


def state(door):
    return door.program.preset, door.thermostat.setpoint, door.thermostat.setpoint_cool


def shown(door):
    """What the platform has of each property: the newest of what the device told."""
    found = {}
    for (name, value), utc_ms in zip(door.answers, door.times):
        if utc_ms >= found.get(name, (0, 0))[1]:
            found[name] = (value, utc_ms)
    return found


def orders(*found):
    """Every order in which a state may have these parts."""
    if len(found) < 2:
        yield found
    for i in range(len(found)):
        for rest in orders(*found[:i], *found[i + 1 :]) if len(found) > 1 else ():
            yield (found[i],) + rest


def fresh(**settings):
    """A device that has kept nothing."""
    if "settings.json" in os.listdir():
        os.remove("settings.json")
    return Door(**settings)
