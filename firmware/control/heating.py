"""One room's regulation: its relays carry out what its thermostat decides."""

from micropython import const

from firmware.base.rare import rare
from firmware.control.relay import Relay
from firmware.control.thermostat import Thermostat

_ABOVE_FROST_C = const(1)


class Regulation:
    """thermostat: the rule, and the settings that may be changed; heater: its first relay."""

    @rare
    def __init__(self, settings: dict, output, range_c, now_ms: int, rule=Thermostat):
        """`output(pin, active)` makes a relay's output; `rule` what decides. The others are as in
        Thermostat.
        """
        # First of all, so that the pins have a defined level.
        self.heater = _relay(settings, "relay", output, settings["max_on_s"])
        self._stage2 = _relay(settings, "stage2", output)
        self._cooler = _relay(settings, "cooler", output)
        self.thermostat = rule(settings, range_c, now_ms)
        self._told = {}

    def off(self) -> None:
        """Every relay off, at once. Allocates nothing: memory may be what there is none of."""
        self.heater.off()
        if self._stage2:
            self._stage2.off()
        if self._cooler:
            self._cooler.off()

    def step(self, now_ms: int) -> None:
        """Decide, and switch what the relays' own times allow."""
        thermostat = self.thermostat
        heater, stage2, cooler = self.heater, self._stage2, self._cooler
        driven = heater.on or (cooler is not None and cooler.on)
        heat, heat2, cool = thermostat.decide(now_ms, driven)
        # Nothing may wait for its minimum time where there is no reading to trust.
        at_once = thermostat.fault is not None
        _drive(heater, heat and not (cooler and cooler.on), at_once, now_ms)
        if stage2:
            # Once on, it stays on for its minimum; the first stage's maximum has to allow that.
            joins = heater.on and (stage2.on or heater.may_stay_on(stage2.min_on_ms, now_ms))
            _drive(stage2, heat2 and joins, at_once, now_ms)
        if cooler:
            heats = heater.on or (stage2 and stage2.on)
            _drive(cooler, cool and not heats, at_once, now_ms)

    def rests(self, now_ms: int, patient: bool) -> bool:
        """Whether a restart, which switches every relay off, costs no heat that matters: all are
        off; or, if `patient`, may be. Never close to frost.
        """
        thermostat = self.thermostat
        temp_c, frost_c = thermostat.temp_c, thermostat.frost_c
        if None not in (temp_c, frost_c) and temp_c < frost_c + _ABOVE_FROST_C:
            return False
        for relay in (self.heater, self._stage2, self._cooler):
            if relay and relay.on and not (patient and relay.may_end(now_ms)):
                return False
        return True

    def state(self):
        """Yield (property, value) of what is reported of it."""
        yield "relay", self.heater.on
        if self._stage2:
            yield "relay2", self._stage2.on
        if self._cooler:
            yield "cooler", self._cooler.on
        yield "fault", self.thermostat.fault or "none"

    def changes(self):
        """Yield (property, value) of what has changed since it was `told`."""
        for name, value in self.state():
            if self._told.get(name) != value:
                yield name, value

    def told(self, name: str, value) -> None:
        """Whoever is to know of a change knows it."""
        self._told[name] = value


def _relay(settings, name, output, max_on_s=0):
    section = settings[name]
    if section is None:
        return None
    pin = output(section["pin"], section["active"])
    return Relay(pin, settings["min_on_s"], settings["min_off_s"], max_on_s)


def _drive(relay, on: bool, at_once: bool, now_ms: int):
    if at_once and not on:
        relay.off()
    # After `off`, too: an off time begins with a request.
    relay.request(on, now_ms)
