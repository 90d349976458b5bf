"""Mutated commands: what is in force stays within its limits, and every one is answered."""

import json
import os
import random

import fuzz
from firmware.commands import table
from firmware.commands.device import Device
from firmware.commands.door import Commands
from firmware.commands.store import Store
from firmware.config import load
from firmware.config.check import check as check_config
from firmware.config.proposal import propose
from firmware.config.trial import CONFIG as PATH
from firmware.config.trial import Trial
from firmware.control.program import Program
from firmware.control.schedule import compiled
from firmware.control.thermostat import Thermostat
from firmware.points.json_text import encode
from firmware.times.clock import Clock

HEAP = "1M"
TIMEOUT_S = 200

T0 = 1795344000000  # 2026-11-22T16:00:00Z
SECRETS = ("hunter2", "swordfish")
CONFIG = {
    "device": {"id": "_dev_1", "key_id": "_key_1", "key_secret": SECRETS[0]},
    "wifi": [{"ssid": "home", "password": SECRETS[1]}],
    "sensors": [{"prop": "temperature", "driver": "room"}],
    "thermostat": {"sensor": "temperature", "relay": {"pin": 26}},
    "time": {"zone": "CET-1CEST,M3.5.0,M10.5.0/3"},
}
PAYLOADS = {
    "setpoint": (b"21.5", b"5", b"35", b"35.01", b"-1", b"1e999", b"null", b'"21"', b"[21]"),
    "setpoint_cool": (b"26", b"10.25", b"4.99", b"true"),
    "mode": (b'"heat"', b'"off"', b'"cool"', b'"Heat"', b'["off"]', b'"\\ud800"'),
    "preset": (b'"home"', b'"away"', b'"boost"', b'"manual"', b'"none"'),
    "schedule": (
        b'[{"days":"mon-fri","at":"06:30","preset":"home"},{"days":"sat,sun","at":"08:00",'
        b'"setpoint":21.5},{"days":"daily","at":"22:30","preset":"sleep"}]',
        b'["mon-fri 06:30 home","sat,sun 08:00 21.5"]',
        b'{"entries":["sun-tue 23:59 5"]}',
        b'["daily 00:00 away","fri-mon 12:00 35"]',
        b"[]",
    ),
    "hold_until": (b'"2026-11-22T18:00:00Z"', b'"2099-01-01T00:00:00+02:00"', b"null", b'""'),
    "report_every": (b"10", b"0.05", b"3600", b"3601"),
    "restart": (b"true", b"false", b"1"),
    "identify": (b"10", b"300", b"301", b"1.5"),
    "lastcommand": (b"{}",),
    "Unheard/of\n": (b"1",),
}
PARTS = (
    b'{"feed":{"max_age_s":20}}',
    b'{"thermostat":{"setpoint":19,"hysteresis":0.3}}',
    b'{"mqtt":{"url":"mqtts://other.example"}}',
    b'{"wifi":[{"ssid":"other","password":"swordfish"}]}',
    b'{"wifi":[{"ssid":"\\udfff","password":"swordfish"}]}',
    b'{"health":null}',
)
TOKENS = (
    b"[" * 60,
    b'{"a":' * 60,
    b"9" * 400,
    b"1e-400",
    b"-",
    b'"\\u0000\\ud800"',
    b"\xff",
    b" " * 2100,
    b"[[[[[[1]]]]]]",
    b"mon-",
    b"25:61",
    b" 99",
    b'"2026-02-30T00:00:00Z"',
    b'"9999-12-31T23:59:60Z"',
    b'"1970-01-01T00:00:00+24:00"',
    b"null",
    b'"entries":',
    b',{"days":"sun"}',
    b"\n",
)


class Regulated:
    """The owners of the commands, and the door to them; as app.py has it."""

    def __init__(self):
        self.now_ms = 1000
        self.clock = Clock(lambda: self.now_ms)
        self.clock.set(T0, self.now_ms)
        settings, problems = check_config(CONFIG)
        assert not problems, problems
        regulated = settings["thermostat"]
        self.thermostat = Thermostat(regulated)
        self.program = Program(regulated, settings["time"]["zone"], self.thermostat)
        self.faults = []
        self.max_age_ms = 10000
        self.store = Store()
        owners = {
            "device": Device(self, self.restart, self.propose),
            "thermostat": self.thermostat,
            "program": self.program,
        }
        self.commands = Commands(
            owners, self.answer, self.store, self.clock, log=lambda room: self
        )
        self.commands.restore()

    def restart(self):
        pass

    def propose(self, part):
        return propose(Trial(), part, ["mqtt", "https"])

    def answer(self, name, value, utc_ms=None):
        # Not asserted here: what this raises is logged, and the command has been obeyed.
        data = encode(value, 2)  # as in a feed, all of which is refused if it is no UTF-8
        good = name in ANSWERED and len(data) < 1200 and not surrogates(data)
        if not good or (utc_ms is not None and type(utc_ms) is not int) or secret(data):
            self.faults.append((name, data))

    def info(self, text, *values):
        text = (text % values).encode()
        if len(text) > 300 or secret(text):
            self.faults.append(text)

    warning = error = info

    def check(self):
        assert self.thermostat.mode in self.thermostat.modes
        assert self.program.preset in ("home", "away", "sleep", "boost", "manual")
        for setpoint in (self.thermostat.setpoint, self.thermostat.setpoint_cool):
            assert type(setpoint) in (int, float) and 5 <= setpoint <= 35, setpoint
        assert 100 <= self.max_age_ms <= 3600000
        compiled(self.program.get("schedule"))
        assert type(self.program.get("hold_until")) is str
        assert not self.faults, self.faults


def surrogates(data):
    """Whether MicroPython has let pass what it takes for UTF-8."""
    at = data.find(b"\xed")
    while at >= 0:
        if data[at + 1] >= 0xA0:
            return True
        at = data.find(b"\xed", at + 1)
    return False


def secret(data):
    return any(word.encode() in data for word in SECRETS)


ANSWERED = [row[0] for row in table.rows()] + ["lastcommand"]
NAMES = sorted(PAYLOADS)
ALL = [payload for name in NAMES for payload in PAYLOADS[name]]
_device = []


def command() -> bytes:
    """The name's place in NAMES, and the payload."""
    at = random.randrange(len(NAMES))
    data = random.choice(PAYLOADS[NAMES[at]] if random.randrange(8) else ALL)
    return bytes((at,)) + (fuzz.mutated(data, ALL, TOKENS) if random.randrange(3) else data)


async def check(data):
    name, payload = NAMES[data[0]], data[1:]
    if not _device or not random.randrange(50):
        _device[:] = (Regulated(),)  # with what the one before has stored
    device = _device[0]
    found = random.randrange(3) == 0  # in the platform's state
    fuzz.begin()
    if found:
        try:
            value = json.loads(payload)
        except ValueError:
            return "no value"
        sent_ms = device.clock.now() + random.choice((-86400000, -1000, 0, 500, 86400000))
        device.commands.recover(name.lower(), value, sent_ms)
        accepted = None
    else:
        accepted = device.commands.handle(name, payload)
        assert type(accepted) is bool and not (accepted and len(payload) > 2048)
    fuzz.end()
    device.check()
    device.now_ms += random.choice((0, 1000, 1000, 60000, 3600000, 86400000))
    changed = device.program.step(device.clock.now() // 1000, device.now_ms)
    if changed:
        device.commands.changed(changed)
    device.commands.tick(device.now_ms)
    device.check()
    return "recovered" if accepted is None else "accepted" if accepted else "refused"


async def test_whatever_is_commanded_is_within_the_limits_and_answered():
    # To compile what is imported for a schedule, and dropped again, is most of that.
    await fuzz.each("commands", command, check, 100000)


def part() -> bytes:
    return fuzz.mutated(random.choice(PARTS), PARTS, TOKENS)


async def check_part(payload):
    for name in os.listdir():
        os.remove(name)
    with open(PATH, "w") as file:
        json.dump(CONFIG, file)
    device = Regulated()
    accepted = device.commands.handle("config", payload)
    device.check()
    assert load.load(PATH)[1] == []
    return "accepted" if accepted else "refused"


async def test_whatever_configuration_is_proposed_the_one_that_is_there_is_right():
    await fuzz.each("configurations", part, check_part)
