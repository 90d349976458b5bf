"""An ESP32's radio: which access point is joined, and when another one is better."""

import asyncio
import time

from micropython import const

from firmware.base.characters import characters
from firmware.base.log import Log
from firmware.base.rare import rare

_SCAN_MS = const(10000)  # the driver's own limit for all channels is below 5 s
# Below the first, in dBm, it looks now and then for an access point that is heard better by the
# second, in dB: less may be the air's own going up and down.
_WEAK_DBM = const(-70)
_FAR_DB = const(12)
_LOOK_MS = const(300000)
_POINTS = const(2)  # of one name that are tried: the time is for the other networks, too
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_HOSTNAME = const(32)  # characters: MicroPython's own limit
NO_RADIO = "the radio did not start; if it lacks memory, use an image that runs from flash"
_FAILURES = (OSError, RuntimeError)  # of the driver's

_log = Log("wifi")


class Station:
    """The station interface. Only switching the radio holds the loop; a scan, which takes the
    driver seconds, has a thread of its own.

    The driver raises OSError, and RuntimeError for all that it has no name for, such as 0x0101: no
    memory. After a WLAN() that failed a second one may panic, in this run or after a soft reset.
    """

    broken = False

    @rare
    def __init__(
        self,
        network,
        start_thread,
        networks: list,
        times: tuple,
        radio: "dict | None",
        device_id: str,
    ):
        """`network`: MicroPython's module; `start_thread`: as _thread's. `networks`, `radio`: see
        unix.py; `times`: see esp32.py.
        """
        self._network = network
        self._start_thread = start_thread
        self._networks = networks
        radio = radio or {}
        self._saves_power = radio.get("power_save")
        self._looked_ms = time.ticks_ms()
        self._looking = None  # what a scan that is under way will find
        self._better = False  # than what is joined
        self._join_ms, self._connect_ms, self._poll_ms = times
        self._wlan = None
        self.ssid = None
        try:
            # Both count from when the radio is on.
            network.hostname(_hostname(radio.get("hostname"), device_id))
            if radio.get("country"):
                network.country(radio["country"].upper())
        except (OSError, ValueError) as error:
            _log.warning("the radio refuses its host name or country: %s", error)
        try:
            self._wlan = network.WLAN(network.STA_IF)
            if networks:
                self._switch_on()
        except Exception as error:
            _log.error("%s: %s", NO_RADIO, error)
        self.broken = self._wlan is None

    def connected(self) -> bool:
        return self._wlan is not None and self._wlan.isconnected()

    @rare
    def better(self) -> bool:
        if self._looking is None:
            now = time.ticks_ms()
            if self._better or time.ticks_diff(now, self._looked_ms) < _LOOK_MS:
                return self._better
            self._looked_ms = now
            dbm = self.rssi()
            if dbm is not None and dbm < _WEAK_DBM:
                try:
                    self._looking = self._listen()
                except (OSError, RuntimeError) as error:  # no memory for a thread
                    _log.warning("cannot scan for Wi-Fi networks: %s", error)
        elif self._looking:
            best_dbm = -self._order(self._looking[0])[0][0]
            self._looking = None
            dbm = self.rssi()
            if dbm is not None and best_dbm - dbm >= _FAR_DB:
                self._better = True
                _log.info("another access point has %d dBm, this one %d", best_dbm, dbm)
        return self._better

    @rare
    def disconnect(self) -> None:
        try:
            self._wlan.active(False)
        except _FAILURES as error:
            _log.warning("the radio cannot be switched off: %s", error)

    def rssi(self) -> "int | None":
        try:
            return self._wlan.status("rssi") if self._wlan else None
        except _FAILURES:  # not associated
            return None

    @rare
    async def connect(self) -> None:
        if self._wlan is None:
            raise RuntimeError(NO_RADIO)
        if self.connected() and not self._better:
            return
        if not self._networks:
            raise OSError("no Wi-Fi network is known: name one under `wifi` in config.json")
        began = time.ticks_ms()
        try:
            self._radio_anew()
        except _FAILURES as error:
            raise RuntimeError("the radio cannot be switched on: %s" % error)
        failures = []
        for _, i, bssid in self._order(await self._scan()):
            ssid, password = self._networks[i]["ssid"], self._networks[i]["password"]
            left_ms = self._connect_ms - time.ticks_diff(time.ticks_ms(), began)
            if left_ms <= 0:
                break
            failure = await self._join(ssid, password, bssid, min(left_ms, self._join_ms))
            if failure is None:
                self.ssid = ssid
                _log.info("joined %s, %s dBm", ssid, self.rssi())
                return
            failure = "%s: %s" % (ssid, failure)
            if failure not in failures:
                failures.append(failure)
        raise OSError("no Wi-Fi: " + "; ".join(failures))

    @rare
    def _radio_anew(self):
        """Ends whatever the driver is doing, its own attempts to reconnect included. It is the
        remedy for a connection that only looks alive, and for "Wifi Internal State Error".
        """
        self._better = False
        self._looking = None
        self._wlan.active(False)
        self._switch_on()

    @rare
    def _switch_on(self):
        self._wlan.active(True)
        if not self._saves_power:
            try:
                # Else the radio sleeps between two beacons: a command waits for 100 ms and more.
                self._wlan.config(pm=self._network.WLAN.PM_NONE)
            except (OSError, RuntimeError, ValueError) as error:
                _log.warning("the radio's power saving stays on: %s", error)

    @rare
    def _order(self, scan):
        """[(-dBm, index, bssid)]: the access points in sight of the networks, the strongest first;
        then, without a bssid, the networks that may be hidden, or the scan may have missed them.
        """
        order = []
        for i, known in enumerate(self._networks):
            ssid = known["ssid"].encode()
            heard = sorted([(-point[3], i, point[1]) for point in scan if point[0] == ssid])
            order.extend(heard[:_POINTS] or [(1000, i, None)])
        order.sort()
        return order

    @rare
    def _listen(self):
        """A list that will have one member: what a scan found."""
        results = []
        self._looked_ms = time.ticks_ms()
        self._start_thread(_scan_aside, (self._wlan, results))
        return results

    @rare
    async def _scan(self):
        """(ssid, bssid, channel, dBm, …) of each access point in sight."""
        results = self._listen()
        began = time.ticks_ms()
        while not results and time.ticks_diff(time.ticks_ms(), began) < _SCAN_MS:
            await asyncio.sleep_ms(self._poll_ms)
        return results[0] if results else ()

    @rare
    async def _join(self, ssid, password, bssid, within_ms):
        """None when joined, or words for what went wrong."""
        wlan = self._wlan
        began = time.ticks_ms()
        try:
            try:
                wlan.connect(ssid, password, bssid=bssid)
            except _FAILURES:
                self._radio_anew()
                wlan.connect(ssid, password, bssid=bssid)
        except _FAILURES as error:
            return str(error)
        while not wlan.isconnected():
            if time.ticks_diff(time.ticks_ms(), began) >= within_ms:
                failure = self._in_words(wlan.status())
                # Otherwise the driver would go on trying this one while the next is asked for.
                try:
                    self._radio_anew()
                except _FAILURES as error:
                    failure += "; then the radio failed: %s" % error
                return failure
            await asyncio.sleep_ms(self._poll_ms)
        return None

    @rare
    def _in_words(self, status):
        if status == self._network.STAT_NO_AP_FOUND:
            return "not found"
        if status == self._network.STAT_WRONG_PASSWORD:
            return "refused; is the password right?"
        return "no answer; is the password right?"


@rare
def _scan_aside(wlan, results):
    """Runs in a thread: the driver releases the interpreter while it listens."""
    try:
        results.append(wlan.scan())
    except Exception as error:  # or nobody would ever hear of it
        _log.warning("cannot scan for Wi-Fi networks: %s", error)
        results.append(())


@rare
def _hostname(name, device_id: str) -> str:
    """The name that routers show: letters, digits and hyphens (RFC 952), else the id's end."""
    name = name or "csipio-" + device_id[-8:].strip("_")
    valid = "".join([c if c.lower() in _LETTERS else "-" for c in characters(name)])
    return valid[:_HOSTNAME].strip("-")
