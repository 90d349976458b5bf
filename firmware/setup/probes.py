"""Tries what a configuration says, step by step, with the firmware's own parts.

Each step is a line: `ok`, or `wrong` with what to do, or `--` where it was not tried. None takes
longer than its deadline, and Ctrl-C leaves no relay on and no connection open.
"""

import asyncio
import gc
import json
import socket
import time
from asyncio import core  # type: ignore[attr-defined]

from micropython import const

from firmware import sensors
from firmware.base import uptime
from firmware.base.url import parse_host, parse_url
from firmware.board import board
from firmware.config import check
from firmware.link import LinkError, deadlines, http_date, provisioning, sntp
from firmware.link.dns import Resolver
from firmware.link.https_api import Api
from firmware.link.mqtt_client import MqttClient
from firmware.link.pacing import Pace
from firmware.link.stream import Network, Stream, within
from firmware.times.calendar import iso
from firmware.times.clock import Clock, system_ms

_NTP_PORT = const(123)
_SHOWN = const(5)  # networks in sight
_RELAY_MS = const(1000)
_NO_MEMORY = (
    "too little memory for TLS; restart the board with Ctrl-D, press Ctrl-C at once, try again"
)
_UNVERIFIED = "%s encrypts, but tls.verify is false: anybody can pose as it"
_OTHER_TIME = "; let UDP port 123 through, or name another server in time.ntp"
_OTHER_NAME = "; is the URL right, and does the network reach the Internet?"
_BEFORE_IT = "; the broker accepts them: is it a proxy or firewall before the API that refuses?"
_OTHER_KEY = "; copy the device's id, key id and secret anew; is it enabled on the platform?"
_FLEETS_KEY = "the broker refused the fleet's key; copy its id and secret anew"
_UNASKED = "identity: was not asked for, by %s %s; setup.check(provision=True) does"
_UNKNOWN = "%s; does the platform know %s %s in this fleet?"


def run(given: dict, relays: bool, provision: bool = False) -> bool:
    """Try all of a configuration that has no problems; the relays only if `relays`, and to ask
    for an identity only if `provision`. Returns whether everything was well.
    """
    probes = Probes(given)
    try:
        probes.link(provision)
        probes.sensors()
        probes.relays(relays)
    except KeyboardInterrupt:
        print("Interrupted; no relay is on.")
        return False
    return not probes.wrong


class Probes:
    """wrong: the names of the steps that were not well."""

    def __init__(self, given: dict):
        self.wrong: list = []
        self._accepted = False  # the key, by the broker
        self._settings = check.check(given)[0]
        self._device = device = self._settings["device"]
        if device["provision"]:
            device["provision"]["mac"] = board.mac()
            provisioning.recall(device)
        tls = self._settings["tls"]
        self._names = Resolver(board.name_servers)
        self._network = _Network(self._names, tls["ca"], tls["verify"])

    def link(self, provision: bool = False) -> None:
        """Wi-Fi, time, names, TLS, broker, API and credentials; one connection at a time.
        `provision`: a device without an identity asks for one.
        """
        try:
            asyncio.run(self._link(provision))
        finally:
            self._network.close()
            self._network.context = None  # there is no room for two
            asyncio.new_event_loop()
            core.cur_task = None  # it would keep all this, too
            gc.collect()

    def sensors(self) -> None:
        """A reading of each sensor."""
        specs = self._settings["sensors"]
        if not specs:
            self._left("sensors: none is configured")
        for places in sensors.chips(specs):
            entries = [specs[place] for place in places]
            chip = error = None
            try:
                chip = sensors.driver(entries[0]["driver"]).Driver(entries)
                time.sleep_ms(chip.start())
                chip.read()
            except Exception as raised:  # a driver may raise anything
                error = raised
            for n, spec in enumerate(entries):
                self._tell_reading(chip, n, spec, error)

    def relays(self, wanted: bool) -> None:
        """Each on for a second, and off whatever happens."""
        thermostat = self._settings["thermostat"] or {}
        for name in ("relay", "stage2", "cooler"):
            relay = thermostat.get(name)
            if not relay:
                continue
            pin = relay["pin"]
            if not wanted:
                text = "%s: pin %d was not tried; setup.check(relays=True) does"
                self._left(text % (name, pin))
                continue
            try:
                output = board.Output(pin, relay["active"])
                try:
                    try:
                        output.set(True)
                        time.sleep_ms(_RELAY_MS)
                    finally:
                        output.set(False)
                finally:
                    output.set(False)  # also where Ctrl-C was pressed twice
                self._ok(name, "pin %d was on for a second; did it click?" % pin)
            except (OSError, ValueError) as error:
                text = "pin %d cannot be an output (%s); take another one"
                self._wrong(name, text % (pin, error))

    def _tell_reading(self, chip, n, spec, error):
        unit, lowest, highest = sensors.quantity(spec)[1:]
        what = spec["prop"]
        value = None
        if error is None:
            try:
                value = chip.value(n)
            except Exception as raised:
                error = raised
        if error is not None:
            self._wrong(what, str(error) or type(error).__name__)
            return
        if type(value) is bool:
            self._ok(what, json.dumps(value))
            return
        shown = "%.*f %s" % (spec["decimals"], value + spec["offset"], unit)
        if lowest is not None and not lowest <= value <= highest:
            text = "%s is more than a %s can measure; check its wires"
            self._wrong(what, text % (shown, spec["driver"]))
        else:
            self._ok(what, shown)

    async def _link(self, provision):
        if not await self._wifi():
            self._left("time, names, TLS, broker, API, credentials: not without Wi-Fi")
            return
        await self._time()
        settings = self._settings
        where = {}
        for way in ("mqtt", "https"):
            scheme, host, port, _ = parse_url(settings[way]["url"])
            found = where.get(host)
            if host not in where:
                found = where[host] = await self._name(host)
            if not found:
                continue
            tls = scheme in ("mqtts", "wss", "https")
            address = "%s:%d" % (host, port)
            if way == "mqtt":
                await self._step("broker", address, host, tls, self._broker())
                if self._device["id"] is None and self._accepted:
                    await self._identity(provision)
            elif self._device["id"] is None:
                self._left("API: is not tried without an identity")
            else:
                await self._step("API", settings[way]["url"], host, tls, self._api())

    async def _wifi(self) -> bool:
        try:
            sight = board.networks()
            if sight is None:
                self._ok("Wi-Fi", "none here; the computer's network is used")
                return True
            if not self._settings["wifi"]:
                raise OSError('no network is named: setup.set("wifi[0].ssid", "its name")')
            settings = self._settings
            device_id = settings["device"]["id"] or board.mac()
            wifi = board.Wifi(settings["wifi"], radio=settings["network"], device_id=device_id)
            wifi.disconnect()
            await wifi.connect()
        except (OSError, RuntimeError) as error:
            text = str(error)
            if text.startswith("no Wi-Fi: "):
                text = text[len("no Wi-Fi: ") :] + "; in sight: " + shown(sight)
            self._wrong("Wi-Fi", text)
            return False
        self._ok("Wi-Fi", "%s, %s dBm" % (wifi.ssid, wifi.rssi()))
        return True

    async def _time(self):
        hosts = self._settings["time"]["ntp"]
        if not hosts:
            self._ok("time", iso(system_ms()) + ", by the system's clock")
            return
        error: "Exception | None" = None
        for address in hosts:
            host, port = parse_host(address, _NTP_PORT)
            try:
                asked = sntp.query(self._names, host, port, uptime.ms)
                found = await within(deadlines.SNTP_MS, "the answer of " + host, asked)
            except LinkError as raised:
                error = raised
                continue
            self._set_time(found)
            self._ok("time", "%s, from %s" % (iso(found[0]), host))
            return
        self._wrong("time", "%s%s" % (error, _OTHER_TIME))
        try:
            clock = Clock()
            url = self._settings["https"]["url"]
            self._set_time(await http_date.ask(url, self._names, clock))
        except (LinkError, MemoryError):
            pass  # what is wrong with the API is told where it is tried

    def _set_time(self, found):
        utc_ms, at_ms = found
        board.set_time(utc_ms + uptime.ms() - at_ms)

    async def _name(self, host) -> bool:
        """Whether a host has an address."""
        try:
            looking = self._names.find(host, 0, socket.SOCK_STREAM)
            found = (await within(deadlines.DNS_MS, "looking up %s" % host, looking))[3]
        except LinkError as error:
            self._wrong("name", "%s%s" % (error, _OTHER_NAME))
            return False
        if found != host:
            self._ok("name", "%s is %s" % (host, found))
        return True

    async def _step(self, what, where, host, tls, step):
        """Await a step on a connection of its own. Where it failed is told by how far it came."""
        self._names.known.pop(host, None)
        error = None
        try:
            await step
        except LinkError as raised:
            error = raised
        except MemoryError:
            self._wrong("TLS" if tls else what, _NO_MEMORY)
            return
        finally:
            self._network.close()
        # It is remembered when the connection is made, and the handshake over.
        secured = tls and host.lower().rstrip(".") in self._names.known
        said = str(error)
        if secured:
            believed = self._settings["tls"]["verify"]
            text = "%s has a certificate that is good" if believed else _UNVERIFIED
            self._ok("TLS", text % host)
        elif tls and any(word in said for word in ("TLS", "tls.", "certificate")):
            self._wrong("TLS", said)
            return
        if error is None or error.refused:
            self._ok(what, where + " answers")
            if error and self._device["id"] is None:
                self._wrong("credentials", _FLEETS_KEY)
            elif error:
                self._wrong("credentials", said + (_BEFORE_IT if self._accepted else _OTHER_KEY))
            else:
                self._accepted = True
                self._ok("credentials", "good for the " + what)
        else:
            self._wrong(what, "%s: %s" % (where, said))

    async def _broker(self):
        device = self._device
        fleet = provisioning.who(device["provision"]) if device["id"] is None else None
        stream, _ = await self._client().open(fleet)
        stream.close()

    async def _identity(self, wanted):
        fleet = self._device["provision"]
        known = fleet["by"], provisioning.identifier(fleet)
        if not wanted:
            self._left(_UNASKED % known)
            return
        outcome = await provisioning.ask(self._device, self._client(), _ignore)
        if outcome.error:
            self._wrong("identity", _UNKNOWN % ((outcome.error,) + known))
        else:
            self._ok("identity", self._device["id"])

    def _client(self):
        return MqttClient(self._settings, self._network, None, None, None, None)

    async def _api(self):
        feed = self._settings["feed"]
        pace = Pace(feed["per_minute"], feed["max_points"], uptime.ms())
        await Api(self._settings, self._network, None, pace).read_state(_ignore)

    def _ok(self, what, text):
        print("ok  %s: %s" % (what, text))

    def _wrong(self, what, text):
        self.wrong.append(what)
        print("wrong  %s: %s" % (what, text))

    def _left(self, text):
        print("--  " + text)


class _Network(Network):
    """Knows its last connection, so that an interrupt leaves none open."""

    def __init__(self, names, ca: str, verify: bool):
        super().__init__(names, ca, verify)
        self._last: "Stream | None" = None

    async def connect(self, host: str, port: int, tls: bool = False) -> Stream:
        self._last = await super().connect(host, port, tls)
        return self._last

    def close(self):
        if self._last:
            self._last.close()
        self._last = None


def shown(sight: list) -> str:
    """The networks in sight, in words."""
    words = ["%s %d dBm" % (name, dbm) for name, dbm in sight[:_SHOWN]]
    return ", ".join(words) or "none; is the antenna free?"


def _ignore(*_):
    pass
