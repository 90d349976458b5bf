"""Builds every part from the configuration, runs them as tasks, and restarts one that dies.

The regulation needs nothing from the network: it shares the event loop with the link, no step of
which blocks, and nothing else.
"""

import asyncio
import gc
import sys
import time

from micropython import const

from firmware import VERSION, health, sensors, uptime
from firmware.board import board
from firmware.control.commands import Commands
from firmware.control.relay import Relay
from firmware.control.thermostat import Thermostat
from firmware.link import sntp
from firmware.link.uplink import Uplink
from firmware.log import Log
from firmware.points.clock import Clock
from firmware.points.feed import Property
from firmware.points.queue import Queue

_REGULATE_MS = const(1000)
_SPILL_MS = const(250)  # between two looks for readings that have to go to flash
_RESTART_MS = const(5000)  # before a task that died is started again
_WATCHDOG_MS = const(30000)
_CONFIGURE_MS = const(5000)  # between two looks for a configuration where there is none

_log = Log("app")


def run():
    """Run the firmware until it is interrupted. Whatever ends it, the relay goes off first."""
    app = None
    try:
        _log.info("firmware %s, started by %s", VERSION, board.reset_cause())
        settings = _settings()
        app = App(settings)
        asyncio.run(app.main())
    except KeyboardInterrupt:
        if app:
            app.stop()
        _log.info("interrupted; the relay is off")
    finally:
        if app:
            app.safe()
        asyncio.new_event_loop()


def _settings() -> dict:
    """The configuration, or the last good one; where there is neither, wait for one."""
    # Its table is large, and not needed again: no name of it may stay behind.
    from firmware import config

    told = None
    while True:
        settings, problems = config.load_good()
        if problems != told:
            for problem in problems:
                _log.error("%s", problem)
            told = problems
        if settings:
            if problems:
                _log.warning("running on the last good configuration, config.good.json")
            config.forget()
            gc.collect()
            return settings
        time.sleep_ms(_CONFIGURE_MS)


class App:
    """One thermostat."""

    def __init__(self, settings: dict):
        regulated = settings["thermostat"]
        # First of all, so that the relay's pin has a defined level.
        self._relay = None
        if regulated:
            output = board.Output(regulated["relay"]["pin"], regulated["relay"]["active"])
            self._relay = Relay(output, regulated["min_on_s"], regulated["min_off_s"])
        self._thermostat = Thermostat(regulated) if regulated else None
        self._temp_c: int | float | None = None
        self._temp_ms = 0
        self._relay_told: bool | None = None

        self._sensors = settings["sensors"]
        self._regulated_by = regulated["sensor"] if regulated else None
        properties = [Property(spec["prop"], spec["decimals"]) for spec in self._sensors]
        if regulated:
            properties.extend((Property("setpoint", 2), Property("mode"), Property("relay")))
        self._health_s = settings["health"]["every_s"]
        if self._health_s:
            properties.extend([Property(name) for name, _ in health.REPORT])
        self._index = {str(p.name, "utf-8"): i for i, p in enumerate(properties)}

        feed = settings["feed"]
        buffer = settings["buffer"]
        self._clock = Clock(counter_ms=board.counter_ms)
        self._queue = Queue(
            properties,
            self._clock,
            buffer["ram_points"],
            feed["format"] == "compact",
            feed["max_points"],
            int(1000 * feed["max_age_s"]),
            buffer["when_full"],
            buffer["flash_kib"],
            int(1000 * buffer["spill_after_s"]),
            board.reset_cause() in board.COUNTER_SURVIVES,
        )
        # How many readings are only in RAM, told to the next run in case this one is cut short.
        self._retained = board.Retained()
        lost = self._queue.lost = self._retained.get()
        if lost:
            _log.warning("%d readings that were only in RAM are lost", lost)
        self._retained.set(0)
        self._time_servers = settings["time"]["ntp"]
        self._wifi = board.Wifi(settings["wifi"])
        commands = Commands(self._thermostat, self._put, Log("command"))
        self._uplink = Uplink(settings, self._queue, self._clock, self._wifi, commands.handle)

    async def main(self):
        """Never returns."""
        tasks = [self._supervise("link", self._uplink.run)]
        tasks.append(self._supervise("time", lambda: sntp.keep(self._clock, self._time_servers)))
        for spec in self._sensors:
            tasks.append(self._supervise(spec["prop"], lambda spec=spec: self._sample(spec)))
        if self._health_s:
            tasks.append(self._supervise("health", self._report))
        tasks.append(self._supervise("journal", self._spill))
        tasks.append(self._supervise("regulation", self._regulate))
        await asyncio.gather(*tasks)

    def safe(self):
        """The relay off, at once."""
        if self._relay:
            self._relay.off()

    def stop(self):
        """The relay off, and what is not delivered on flash."""
        self.safe()
        self._queue.flush()
        self._retained.set(self._queue.in_ram)

    async def _supervise(self, name: str, start):
        """Run `start()` for ever, whatever it raises."""
        while True:
            try:
                await start()
            except Exception as error:
                if name == "regulation":
                    self.safe()
                _log.error("%s died: %s: %s", name, type(error).__name__, error)
                sys.print_exception(error)
                gc.collect()
            await asyncio.sleep_ms(_RESTART_MS)

    def _put(self, name: str, value):
        self._buffer(self._index[name], value)

    def _buffer(self, index: int, value):
        self._queue.put(index, value)
        self._retained.set(self._queue.in_ram)

    async def _sample(self, spec: dict):
        """Read one sensor on its grid: the n-th reading is due n periods after the first one."""
        log = Log(spec["prop"])
        sensor = None
        index = self._index[spec["prop"]]
        regulates = spec["prop"] == self._regulated_by
        every_ms = int(1000 * spec["every_s"])
        failing = None
        due = uptime.ms()
        while True:
            try:
                if sensor is None:
                    sensor = sensors.create(spec)
                wait_ms = sensor.start()
                if wait_ms:
                    await asyncio.sleep_ms(wait_ms)
                value = sensor.value()
                self._buffer(index, value)
                if regulates:
                    self._temp_c = value
                    self._temp_ms = uptime.ms()
                if failing is not None:
                    log.info("reads again")
                    failing = None
            except Exception as error:  # a driver may raise anything; the next reading is due
                text = str(error) or type(error).__name__
                if text != failing:
                    log.error("no reading: %s", text)
                    failing = text
            now = uptime.ms()
            due += every_ms
            if due < now:
                # Readings that could not be taken in time are left out; the grid stays.
                due += (now - due + every_ms - 1) // every_ms * every_ms
            await asyncio.sleep_ms(due - now)

    async def _regulate(self):
        watchdog = board.watchdog(_WATCHDOG_MS)
        due = uptime.ms()
        while True:
            if self._thermostat:
                self._decide(uptime.ms())
            watchdog.feed()
            due += _REGULATE_MS
            await asyncio.sleep_ms(max(0, due - uptime.ms()))

    def _decide(self, now: int):
        age_s = (now - self._temp_ms) / 1000
        relay = self._relay
        trusted = self._thermostat.trusts(self._temp_c, age_s)
        if trusted:
            relay.request(self._thermostat.decide(self._temp_c, age_s, relay.on), now)
        else:
            relay.off()
        if relay.on != self._relay_told:
            self._relay_told = relay.on
            self._put("relay", relay.on)
            why = "%.1f °C" % self._temp_c if trusted else "no reading to trust"
            _log.info("relay %s: %s", "on" if relay.on else "off", why)

    async def _spill(self):
        while True:
            self._queue.tick()
            self._retained.set(self._queue.in_ram)
            await asyncio.sleep_ms(_SPILL_MS)

    async def _report(self):
        while True:
            if self._thermostat:
                self._put("setpoint", self._thermostat.setpoint)
                self._put("mode", self._thermostat.mode)
                self._put("relay", self._relay.on)
            health.report(self._put, self._queue, self._uplink, self._wifi)
            await asyncio.sleep(self._health_s)
