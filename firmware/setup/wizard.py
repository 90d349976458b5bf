"""Asks for what a thermostat needs, proposes what it finds, and tries the answers.

Twelve questions at most: three for who the device is, two for the Wi-Fi, three for the sensor, two
for the relay, set point and time zone. An answer that cannot be is told, and asked for again.
"""

import binascii
import io
import json
import sys

from micropython import const

from firmware import sensors
from firmware.base import kinds
from firmware.board import board
from firmware.config import schema
from firmware.setup import draft as drafts
from firmware.setup import probes

_FAMILIES = (0x10, 0x22, 0x28)  # of thermometers on a 1-Wire bus
_AS_IT_IS = "as it is"
_NONE = "none"
_AGAIN = "Once more; the same answers are taken as they are."
_FLEET = "fleet"  # an answer
_PINS = {"ntc": 34}  # proposed, where it is not the usual one
_PIN = const(4)
_RELAY_PIN = const(26)


def run(draft, save, ask=None) -> None:
    """Change a draft.Draft by questions, and save it with `save`. Ctrl-C leaves it as it was.

    `ask(text, secret)`: gives an answer, in place of the line that is typed.
    """
    kept, changed = json.dumps(draft.given), draft.changed
    print("An empty answer takes what stands in brackets. Ctrl-C leaves everything as it was.")
    try:
        wizard = _Wizard(draft, ask or _typed)
        wizard.link()
        wizard.sensor()
        wizard.thermostat()
    except (KeyboardInterrupt, EOFError):
        draft.given, draft.changed = json.loads(kept), changed
        print("\nStopped; everything is as it was.")
        return
    save()


class _Wizard:
    def __init__(self, draft, ask):
        self._draft = draft
        self._answer = ask

    def link(self):
        self._device()
        self._wifi()
        while True:
            tried = self._tried(probes.Probes.link)
            before = json.dumps(self._draft.given)
            for what, ask in (("Wi-Fi", self._wifi), ("credentials", self._device)):
                if what in tried:
                    print(_AGAIN)
                    ask()
                    break
            if json.dumps(self._draft.given) == before:
                return

    def sensor(self):
        before = None
        while True:
            prop = self._ask_sensor()
            now = json.dumps(self._draft.given)
            if now == before or prop not in self._tried(probes.Probes.sensors):
                return
            before = now
            print(_AGAIN)

    def thermostat(self):
        prop = self._entry()[1].get("prop")
        pin = self._value("thermostat.relay.pin") or _RELAY_PIN
        if not prop or self._ask("Pin of the heating's relay, or none", pin, self._relay) is None:
            self._draft.put("thermostat", None)
            return
        self._ask_key("thermostat.relay.active", "The pin's level that switches it on", "high")
        self._ask_key("thermostat.setpoint", "Set point in °C", 21.0)
        self._ask_key("time.zone", "Time zone, such as CET-1CEST,M3.5.0,M10.5.0/3", "UTC0")

    def _device(self):
        known = _FLEET if self._value("device.provision") else self._value("device.id")
        print("  With a fleet's key in place of an id, answer: fleet")
        if self._ask("The device's id, _dev_…", known, self._who) == _FLEET:
            print("  Its fleet on the platform has to know this board: mac %s" % board.mac())
            self._ask_key("device.provision.key_id", "The id of the fleet's key, _key_…")
            self._ask_secret("device.provision.key_secret", "The secret of the fleet's key")
            return
        self._ask_key("device.key_id", "The id of its key, _key_…")
        self._ask_secret("device.key_secret", "The secret of its key")

    def _who(self, told):
        """Puts an id, in place of a fleet's key; or takes the id away. Raises ValueError."""
        kept = json.dumps(self._draft.given)
        for key in ("id", "key_id", "key_secret") if told == _FLEET else ("provision",):
            if self._value("device." + key) is not None:
                self._draft.remove("device." + key)
        try:
            if told != _FLEET:
                self._draft.put("device.id", told)
        except ValueError:
            self._draft.given = json.loads(kept)
            raise
        return told

    def _wifi(self):
        try:
            sight = board.networks()
        except OSError as error:
            print("  %s" % error)
            sight = []
        if sight is None:
            return  # the computer's network
        if sight:
            print("  In sight: " + probes.shown(sight))
        known = self._value("wifi[0].ssid")
        self._ask_key("wifi[0].ssid", "The Wi-Fi network", sight[0][0] if sight else None)
        if self._value("wifi[0].ssid") != known and known:
            self._draft.put("wifi[0].password", "")
        self._ask_secret("wifi[0].password", "Its password", _NONE)

    def _entry(self):
        """(path, entry) of the sensor that the thermostat has, or would have."""
        specs = self._value("sensors") or []
        wanted = self._value("thermostat.sensor")
        for place, spec in enumerate(specs):
            if type(spec) is dict and wanted in (None, spec.get("prop")):
                return "sensors[%d]" % place, spec
        return "sensors[%d]" % len(specs), {}

    def _ask_sensor(self):
        """The property of the sensor; None for no sensor."""
        path, entry = self._entry()
        usual = "ds18x20" if board.outputs is None else "room"
        names = ", ".join(sensors.drivers())
        driver = entry.get("driver", usual)
        name = self._ask("What measures the room, of %s, or none" % names, driver, _driver)
        if name is None:
            return None
        if name != entry.get("driver"):
            common = ("prop", "every_s", "decimals", "offset", "filter")
            entry = {key: entry[key] for key in common if key in entry}
        entry = dict(entry)
        entry.setdefault("prop", "temperature")
        entry["driver"] = name
        rows = {row[0]: row for row in schema.rows(io.StringIO(sensors.driver(name).KEYS))}
        if "sda" in rows:
            pins = "%d %d" % tuple([self._default(entry, rows, key) for key in ("sda", "scl")])
            take = lambda told: self._bus(path, entry, told)  # noqa: E731 shorter
            self._ask("The bus's pins, SDA and SCL", pins, take)
            self._address(path, entry, rows["address"])
        elif "pin" in rows:
            pin = entry.get("pin", _PINS.get(name, _PIN))
            self._ask("Its pin", pin, lambda told: self._put(path, entry, "pin", told))
            if name == "ds18x20":
                self._rom(path, entry)
        else:
            self._draft.put(path, entry)
        return entry["prop"]

    def _default(self, entry, rows, key):
        return entry.get(key, schema.value(rows[key][3]))

    def _put(self, path, entry, key, told):
        changed = dict(entry)
        changed[key] = _read(told)
        self._draft.put(path, changed)
        entry[key] = changed[key]

    def _bus(self, path, entry, told):
        pins = told.replace(",", " ").split()
        if len(pins) != 2:
            raise ValueError("expected two pins, such as 21 22")
        entry["sda"], entry["scl"] = [_read(pin) for pin in pins]
        self._draft.put(path, dict(entry))

    def _address(self, path, entry, row):
        """The chip's address, among those that answer."""
        try:
            found = board.i2c(entry["sda"], entry["scl"]).scan()
        except (OSError, ValueError) as error:
            print("  %s" % error)
            return
        names = ["0x%02x" % address for address in found]
        print("  On these pins: " + (", ".join(names) or "nothing; check wires and pull-ups"))
        choices, _ = kinds.limits(row[2], schema.value)
        fitting = [name for name in names if name in choices]
        if not fitting:
            return
        if len(fitting) == 1:
            self._put(path, entry, "address", '"%s"' % fitting[0])
            return
        text = "Its address, %s" % " or ".join(fitting)
        self._ask(text, fitting[0], lambda told: self._put(path, entry, "address", told))

    def _rom(self, path, entry):
        """Which of the thermometers on the pin."""
        try:
            found = [rom for rom in board.onewire(entry["pin"]).scan() if rom[0] in _FAMILIES]
        except (OSError, ValueError) as error:
            print("  %s" % error)
            return
        names = sorted([binascii.hexlify(rom).decode() for rom in found])
        print("  On this pin: " + (", ".join(names) or "nothing; check wires and pull-up"))
        if len(names) < 2:
            entry.pop("rom", None)
            entry.pop("nth", None)
            self._draft.put(path, entry)
            return

        def take(told):
            number = _read(told)
            rom = told if told in names else None
            if type(number) is int and 0 < number <= len(names):
                rom = names[number - 1]
            if rom is None:
                raise ValueError("expected 1 to %d, or an address" % len(names))
            entry.pop("nth", None)
            self._put(path, entry, "rom", '"%s"' % rom)

        known = entry.get("rom")
        self._ask("Which of them, in this order", known if known in names else 1, take)

    def _relay(self, told):
        """The pin; None for no relay. Raises ValueError."""
        if told.lower() == _NONE:
            return None
        pin = _read(told)
        kept = json.dumps(self._draft.given)
        try:
            self._draft.put("thermostat.sensor", self._entry()[1]["prop"])
            self._draft.put("thermostat.relay.pin", pin)
        except ValueError:
            self._draft.given = json.loads(kept)
            raise
        return pin

    def _tried(self, step) -> list:
        """What a step of the check found wrong; [] also where it cannot be tried yet."""
        problems = self._draft.problems()
        if problems:
            print("  Not tried: " + problems[0])
            return []
        tried = probes.Probes(self._draft.given)
        step(tried)
        return tried.wrong

    def _value(self, path):
        """What the draft says there; None for nothing."""
        value = self._draft.given
        for part in drafts.split(path):
            try:
                value = value[part]
            except (LookupError, TypeError):
                return None
        return value

    def _ask_key(self, path, text, proposal=None):
        known = self._value(path)
        texts = type(proposal) in (str, type(None))

        def take(told):
            self._draft.put(path, told if texts else _read(told))

        self._ask(text, proposal if known is None else known, take)

    def _ask_secret(self, path, text, proposal=None):
        """A secret that is there already is proposed, and not shown."""
        known = self._value(path)

        def take(told):
            if told != shown:
                self._draft.put(path, told)
            elif not known:
                self._draft.put(path, "")

        shown = _AS_IT_IS if known else proposal
        self._ask(text, shown, take, True)

    def _ask(self, text, proposal, take, secret=False):
        """What `take` makes of the first answer for which it raises no ValueError."""
        if proposal is not None:
            text += " [%s]" % proposal
        while True:
            told = self._answer(text + ": ", secret).strip()
            if not told:
                if proposal is None:
                    print("  It is needed.")
                    continue
                told = str(proposal)
            try:
                return take(told)
            except ValueError as error:
                print("  %s" % error)


def _typed(text, secret):
    return unseen(text) if secret else input(text)


def _driver(told):
    """Its name; None for no sensor. Raises ValueError."""
    name = told.lower()
    if name == _NONE:
        return None
    if name not in sensors.drivers():
        raise ValueError("expected one of " + ", ".join(sensors.drivers()))
    measured, unit = sensors.driver(name).MEASURES[0][:2]
    if unit not in ("°C", ""):
        raise ValueError("expected a thermometer; a %s measures %s" % (name, measured))
    return name


def _read(told):
    """As JSON has it, or a text."""
    try:
        return json.loads(told)
    except ValueError:
        return told


def unseen(text: str) -> str:
    """A line that is typed and not shown: a board's serial line is not echoed. `input` would, and
    remember it in the prompt's history. Raises EOFError at Ctrl-D.
    """
    try:
        # Of a computer's terminal, which echoes by itself; no board has it.
        termios = __import__("termios")
        mode = termios.tcgetattr(0)
        termios.setraw(0)
    except (ImportError, OSError):
        termios = mode = None
    print(text + "(unseen) ", end="")
    line = ""
    try:
        while True:
            key = sys.stdin.read(1)
            if key == "\n" and not line:
                continue  # the rest of the line before it, of a terminal that ends them by two
            if key in ("\r", "\n"):
                return line
            if key == "\x03":
                raise KeyboardInterrupt
            if key in ("", "\x04"):
                raise EOFError
            if key in ("\x08", "\x7f"):
                line = line[:-1]
            elif key >= " ":
                line += key
    finally:
        if termios:
            termios.tcsetattr(0, termios.TCSANOW, mode)
        print()
