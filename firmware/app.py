"""Builds every part from the configuration, and runs the tasks under their supervisor.

The regulation needs nothing from the network: it shares the event loop with the link, no step of
which blocks, and nothing else.
"""

import asyncio
import gc
import sys
import time

from micropython import const

from firmware import VERSION, sensors
from firmware.base import uptime
from firmware.base.log import Log
from firmware.board import board
from firmware.commands import door as commands
from firmware.commands.store import Store
from firmware.config import change, load, trial
from firmware.control.heating import Regulation
from firmware.link import sntp
from firmware.link.uplink import Uplink
from firmware.points.properties import Properties
from firmware.points.queue import Queue
from firmware.supervision import health
from firmware.supervision.loop_meter import PauseMeter
from firmware.supervision.supervisor import Supervisor
from firmware.times.clock import Clock

_REGULATE_MS = const(1000)
_SPILL_MS = const(250)  # between two looks for readings that have to go to flash
_CONFIGURE_MS = const(5000)  # between two looks for a configuration where there is none
# Without progress for this time a task stands still; the link's may wait for a Wi-Fi to answer.
_REGULATION_SILENCE_MS = const(10000)
_LINK_SILENCE_MS = const(180000)
_SENSOR_SILENCE_MS = const(60000)  # and two of its periods
_AGAIN_S = const(10)  # from a start that failed to the next one

_log = Log("app")


def run():
    """Run the firmware until it is interrupted. Whatever ends it, the relay goes off first."""
    app = None
    try:
        _log.info("firmware %s, started by %s", VERSION, board.reset_cause())
        trial.begin()
        app = App(_settings())
        app.pauses.install()
        why = asyncio.run(app.main())
        app.stop()
        _log.info("restarting: %s", why)
        board.restart(why)
    except KeyboardInterrupt:
        if app:
            app.stop()
        _log.info("interrupted; the relay is off")
    except Exception as error:
        # Not even the start succeeds: a wrong pin, or too little memory for what is configured.
        if app:
            app.safe()
        _log.error("%s: %s; restarting in %d s", type(error).__name__, error, _AGAIN_S)
        sys.print_exception(error)
        time.sleep(_AGAIN_S)
        board.restart("failure")
    finally:
        if app:
            app.safe()
        asyncio.new_event_loop()


def _settings() -> dict:
    """The configuration, or the last good one; where there is neither, wait for one."""
    told = None
    while True:
        settings, problems = load.load_good()
        if problems != told:
            for problem in problems:
                _log.error("%s", problem)
            told = problems
        if settings:
            if problems:
                _log.warning("running on the last good configuration, config.good.json")
            gc.collect()
            return settings
        time.sleep_ms(_CONFIGURE_MS)


class App:
    """One thermostat: its parts, for `health` and the commands to look at, and its tasks."""

    def __init__(self, settings: dict):
        regulated = settings["thermostat"]
        # First of all, so that the relays' pins have a defined level.
        self.regulation = self.thermostat = self.program = None
        if regulated:
            self.regulation = Regulation(
                regulated, board.Output, _range_of(settings, regulated["sensor"]), uptime.ms()
            )
            self.thermostat = self.regulation.thermostat
            from firmware.control.program import Program

            self.program = Program(settings, self.thermostat)
        self._led = _led(settings["device"]["led"])
        self._identify_until = 0

        self._sensors = settings["sensors"]
        self._regulated_by = regulated["sensor"] if regulated else None
        self._health = settings["health"]
        self._reported = self._health["properties"] if self._health["every_s"] else ()
        columns = [(spec["prop"], spec["decimals"]) for spec in self._sensors]
        if regulated:
            columns.extend([(name, 0) for name, _ in self.regulation.state()])
        columns.extend(commands.properties(self))
        columns.extend([(name, 0) for name in self._reported])
        self._properties = Properties(columns)

        feed = settings["feed"]
        buffer = settings["buffer"]
        self._clock = Clock(counter_ms=board.counter_ms)
        self._retained = board.Retained()
        lost = self._retained.get()
        self.queue = Queue(
            properties=self._properties,
            clock=self._clock,
            slots=buffer["ram_points"],
            compact=feed["format"] == "compact",
            max_points=feed["max_points"],
            max_age_ms=round(1000 * feed["max_age_s"]),
            when_full=buffer["when_full"],
            flash_kib=buffer["flash_kib"],
            spill_after_ms=round(1000 * buffer["spill_after_s"]),
            survived=board.reset_cause() in board.COUNTER_SURVIVES,
            lost=lost,
        )
        if lost:
            _log.warning("%d readings that were only in RAM are lost", lost)
        self._retained.set(0)
        self._time = settings["time"]["ntp"], settings["https"]["url"]
        self.wifi = board.Wifi(settings["wifi"])
        self._store = Store()
        self._commands = commands.Commands(
            self, self.put, self._store, self._clock, Log("command")
        )
        self.uplink = Uplink(
            settings,
            self.queue,
            self._clock,
            self.wifi,
            self._commands.handle,
            self._commands.recover,
            self._commands.recovered,
        )
        self._commands.restore(trial.named(), trial.note())
        self.pauses = PauseMeter()
        self.low_heap = None
        self.supervisor = Supervisor(board.watchdog, self.queue.flush, self.safe)
        self._confirm_ms = 1000 * settings["config"]["confirm_s"]

    async def main(self) -> str:
        """Returns, with the reason, when the device is to be restarted."""
        add = self.supervisor.add
        add("regulation", self._regulate, _REGULATION_SILENCE_MS)
        for spec in self._sensors:
            silence_ms = _SENSOR_SILENCE_MS + int(2000 * spec["every_s"])
            add(spec["prop"], lambda task, spec=spec: self._sample(task, spec), silence_ms)
        add("journal", self._spill, _SENSOR_SILENCE_MS)
        add("time", self._keep_time)
        add("link", lambda task: self.uplink.run(), _LINK_SILENCE_MS, self.uplink)
        if self._reported:
            add("health", self._report)
        if trial.pending():
            add("trial", self._try_configuration)
        return await self.supervisor.run()

    def safe(self):
        """Every relay off, at once."""
        if self.regulation:
            self.regulation.off()

    def stop(self):
        """The relays off, and what is not delivered, and what was set, on flash."""
        self.safe()
        try:
            self.uplink.release()
            gc.collect()
            self.queue.flush()
        except MemoryError:
            _log.error("out of memory: what was only in RAM is lost")
        self._store.flush()
        self._retain()

    def put(self, name: str, value, t_ms: "int | None" = None):
        """Buffer a value of one of the device's own properties, of now or of `t_ms`."""
        self._buffer(self._properties.index(name), value, t_ms)

    def restart(self, why: str = "command", at_ms: int = 0):
        """In about a second, or at that uptime: what is being answered is answered first."""
        self.supervisor.restart(why, at_ms)

    def propose(self, part: dict) -> tuple:
        """Put a part of a configuration on trial; see config.change."""
        return change.propose(part, self.reached())

    def identify(self, seconds: int):
        """Blink, so that somebody in front of several devices sees which one this is."""
        self._identify_until = uptime.ms() + 1000 * seconds
        _log.info("this is the device that was asked to show itself")

    def reached(self) -> list:
        """The ways over which the platform was, in this run."""
        worked = (self.uplink.mqtt_ok, self.uplink.https_ok)
        return [way for way, ok in zip(("mqtt", "https"), worked) if ok]

    def take_pause(self) -> int:
        """The longest pause of the loop, in ms, since this was last asked for."""
        return self.pauses.take()

    def _buffer(self, index: int, value, t_ms=None):
        self.queue.put(index, value, t_ms)
        self._retain()

    def _retain(self):
        """Tell the next run, in case this one is cut short, how many readings only RAM has."""
        self._retained.set(self.queue.in_ram + self.uplink.in_flight)

    async def _sample(self, task, spec: dict):
        """Read one sensor on its grid: the n-th reading is due n periods after the first one."""
        log = Log(spec["prop"])
        sensor = None
        index = self._properties.index(spec["prop"])
        regulation = self.regulation if spec["prop"] == self._regulated_by else None
        at_once = spec["send"] != "feed"
        every_ms = round(1000 * spec["every_s"])
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
                # The heat first: whatever the buffer makes of it, this was a reading.
                if regulation:
                    regulation.thermostat.reading(value, uptime.ms())
                if at_once and self.uplink.offer(index, spec["prop"], value):
                    self._retain()
                else:
                    self._buffer(index, value)
                if failing is not None:
                    log.info("reads again")
                    failing = None
            except Exception as error:  # a driver may raise anything; the next reading is due
                self.supervisor.failed(task, error)
                text = str(error) or type(error).__name__
                if text != failing:
                    log.error("no reading: %s", text)
                    failing = text
            now = uptime.ms()
            task.alive_ms = now
            due += every_ms
            if due < now:
                # Readings that could not be taken in time are left out; the grid stays.
                due += (now - due + every_ms - 1) // every_ms * every_ms
            await asyncio.sleep_ms(due - now)

    async def _regulate(self, task):
        due = uptime.ms()
        while True:
            now = task.alive_ms = uptime.ms()
            self.pauses.late(now - due)
            if self.regulation:
                self._decide(now)
            if self._led:
                self._led.set(now < self._identify_until and not self._led.on)
            self._commands.tick(now)
            due += _REGULATE_MS
            await asyncio.sleep_ms(max(0, due - uptime.ms()))

    def _decide(self, now: int):
        utc_s = self._clock.now() // 1000 if self._clock.known else None
        changed = self.program.step(utc_s, now)
        if changed:
            self._commands.changed(changed)
        regulation = self.regulation
        regulation.step(now)
        for name, value in regulation.changes():
            self.put(name, value)
            temp_c = self.thermostat.temp_c
            if type(value) is bool:
                now_c = "no temperature" if temp_c is None else "%.1f °C" % temp_c
                _log.info("%s %s: %s", name, "on" if value else "off", now_c)
            elif value != "none":
                _log.warning("fault: %s", value)
            elif temp_c is not None:
                _log.info("the fault is over")

    async def _spill(self, task):
        while True:
            task.alive_ms = uptime.ms()
            self.queue.tick()
            self._retain()
            await asyncio.sleep_ms(_SPILL_MS)

    async def _keep_time(self, task):
        on_set = self._time_is_known
        await sntp.keep(self._clock, *self._time, on_set, self.wifi, self.uplink.alone)

    def _time_is_known(self, utc_ms: int):
        # What is on flash is dated before the board's counter may jump.
        self.queue.tick()
        board.set_time(utc_ms)

    async def _report(self, task):
        while True:
            if self.regulation:
                for name, value in self.regulation.state():
                    self.put(name, value)
            health.report(self, self._reported)
            await asyncio.sleep(self._health["every_s"])

    async def _try_configuration(self, task):
        """Keep a configuration that came as a command only if the platform is reached with it."""
        if await trial.is_kept(self.reached, self._confirm_ms):
            program = self.program
            if program and program.preset != "manual":
                # What it says of the preset's set points.
                program.put("preset", program.preset, program.decided_s)
            self._commands.configured()
        else:
            self.restart("config")
        await asyncio.Event().wait()


def _range_of(settings: dict, prop: str):
    """What the sensor of that property can measure, (lowest, highest)."""
    for spec in settings["sensors"]:
        if spec["prop"] == prop:
            return sensors.driver(spec["driver"]).RANGE
    return None


def _led(pin):
    return None if pin is None else board.Output(pin, "high")
