"""Tries what a configuration says, step by step, with the firmware's own parts.

Each step is a line: `ok`, or `wrong` with what to do, or `--` where it was not tried. None takes
longer than its deadline, and Ctrl-C leaves no relay on and no connection open.
"""

import asyncio
import gc
import json
import socket
import time

from micropython import const

from firmware import sensors
from firmware.base import uptime
from firmware.base.url import parse_host, parse_url
from firmware.board import board
from firmware.config import check
from firmware.link import LinkError, deadlines, http_date, sntp
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
_OTHER_TIME = "; let UDP port 123 through, or name another server in time.ntp"
_OTHER_NAME = "; is the URL right, and does the network reach the Internet?"
_OTHER_KEY = "; copy the device's id, key id and secret anew; is it enabled on the platform?"


def run(given: dict, relays: bool) -> bool:
    """Try all of a configuration that has no problems; the relays only if `relays`. Returns
    whether everything was well.
    """
    probes = Probes(given)
    try:
        probes.link()
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
        self._settings = check.check(given)[0]
        tls = self._settings["tls"]
        self._names = Resolver(board.name_servers)
        self._network = _Network(self._names, tls["ca"], tls["verify"])

    def link(self) -> None:
        """Wi-Fi, time, names, TLS, broker, API and credentials; one connection at a time."""
        try:
            asyncio.run(self._link())
        finally:
            self._network.close()
            asyncio.new_event_loop()
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

    async def _link(self):
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
            device_id = settings["device"]["id"]
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
        text = str(error)
        if secured:
            self._ok("TLS", "%s has a certificate that is good" % host)
        elif tls and any(word in text for word in ("TLS", "tls.", "certificate")):
            self._wrong("TLS", text)
            return
        if error is None or error.refused:
            self._ok(what, where + " answers")
            if error:
                self._wrong("credentials", text + _OTHER_KEY)
            else:
                self._ok("credentials", "good for the " + what)
        else:
            self._wrong(what, "%s: %s" % (where, text))

    async def _broker(self):
        client = MqttClient(self._settings, self._network, None, None, None, None)
        stream, _ = await client.open()
        stream.close()

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
        self._last: Stream | None = None

    async def connect(self, host: str, port: int, tls: bool = False):
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
