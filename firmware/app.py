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
from firmware.commands import door
from firmware.commands.store import Store
from firmware.config import change, load, trial
from firmware.control.heating import Regulation
from firmware.control.loop import Loop
from firmware.link import sntp
from firmware.link.uplink import Uplink
from firmware.points.feed import Property
from firmware.points.intake import Intake
from firmware.points.queue import Queue
from firmware.sensors.sampler import Sampler
from firmware.supervision.health import Health
from firmware.supervision.loop_meter import LoopMeter
from firmware.supervision.supervisor import Supervisor
from firmware.times.clock import Clock

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
    """One thermostat: its parts, none of which keeps the settings, and their tasks."""

    def __init__(self, settings: dict):
        # First of all, so that the relays' pins have a defined level.
        regulated = settings["thermostat"]
        self._regulation = thermostat = program = None
        if regulated:
            range_c = _range_of(settings["sensors"], regulated["sensor"])
            self._regulation = Regulation(regulated, board.Output, range_c, uptime.ms())
            thermostat = self._regulation.thermostat
        # Then the radio, which needs large blocks of memory.
        wifi = board.Wifi(settings["wifi"])
        if regulated:
            from firmware.control.program import Program

            program = Program(settings, thermostat)

        self._meter = LoopMeter()
        clock = Clock(counter_ms=board.counter_ms)
        self._controls = controls = _Controls(thermostat, program, settings["device"]["led"])
        columns = [(spec["prop"], spec["decimals"]) for spec in settings["sensors"]]
        if regulated:
            columns.extend([(name, 0) for name, _ in self._regulation.state()])
        columns.extend(door.properties(controls))
        health_s = settings["health"]["every_s"]
        if health_s:
            columns.extend([(name, 0) for name in settings["health"]["properties"]])
        queue = _queue(columns, clock, settings["feed"], settings["buffer"])
        self._queue = controls.queue = queue
        names = [column[0] for column in columns]
        self._intake = intake = Intake(
            queue, names, board.Retained(), lambda: self._uplink.in_flight
        )

        self._supervisor = Supervisor(board.watchdog, queue.flush, self.safe)
        controls.restart = self._supervisor.restart
        self._store = Store()
        self._commands = commands = door.Commands(
            controls, intake.tell, self._store, clock, Log("door")
        )
        calls = commands.handle, commands.recover, commands.recovered
        self._uplink: Uplink = Uplink(settings, queue, clock, wifi, *calls)
        controls.uplink = self._uplink
        commands.restore(trial.named(), trial.note())

        add = self._supervisor.add
        loop = Loop(
            self._regulation,
            program,
            clock,
            tell=intake.tell,
            changed=commands.changed,
            also=(controls.blink, commands.tick),
            late=self._meter.late,
        )
        add("regulation", loop.run, _REGULATION_SILENCE_MS, loop)
        for index, spec in enumerate(settings["sensors"]):
            regulates = regulated and spec["prop"] == regulated["sensor"]
            listeners = (thermostat.reading,) if regulates else ()
            offer = None if spec["send"] == "feed" else self._uplink.offer
            failed = self._supervisor.failed
            sampler = Sampler(spec, index, listeners, intake, failed, offer)
            silence_ms = _SENSOR_SILENCE_MS + int(2000 * spec["every_s"])
            add(spec["prop"], sampler.run, silence_ms, sampler)
        add("journal", intake.run, _SENSOR_SILENCE_MS, intake)
        ntp, url = settings["time"]["ntp"], settings["https"]["url"]
        alone = self._uplink.alone
        add("time", lambda: sntp.keep(clock, ntp, url, self._set_time, wifi, alone))
        add("link", self._uplink.run, _LINK_SILENCE_MS, self._uplink)
        owners = {
            "queue": queue,
            "uplink": self._uplink,
            "wifi": wifi,
            "supervisor": self._supervisor,
            "loop_meter": self._meter,
            "heater": self._regulation and self._regulation.heater,
            "board": board,
        }
        health = Health(owners, intake.has, intake.tell, health_s)
        if health_s:
            add("health", health.run)
        if trial.pending():
            confirm_ms = 1000 * settings["config"]["confirm_s"]
            add("trial", lambda: self._try_configuration(confirm_ms))
        schemes = [settings[way]["url"].split(":")[0] for way in ("mqtt", "https")]
        health.log_memory(any(scheme in ("mqtts", "wss", "https") for scheme in schemes))

    async def main(self) -> str:
        """Returns, with the reason, when the device is to be restarted."""
        self._meter.install()
        return await self._supervisor.run()

    def safe(self):
        """Every relay off, at once."""
        if self._regulation:
            self._regulation.off()

    def stop(self):
        """The relays off; and what is not delivered, and what was set, on flash."""
        self.safe()
        try:
            self._uplink.release()
            gc.collect()
            self._queue.flush()
        except MemoryError:
            _log.error("out of memory: what was only in RAM is lost")
        self._store.flush()
        self._intake.retain()

    def _set_time(self, utc_ms: int):
        # What is on flash is dated before the board's counter may jump.
        self._queue.tick()
        board.set_time(utc_ms)

    async def _try_configuration(self, confirm_ms):
        """Keep a configuration that came as a command only if the platform is reached with it."""
        if await trial.is_kept(self._controls.reached, confirm_ms):
            program = self._controls.program
            if program and program.preset != "manual":
                # What it says of the preset's set points.
                program.put("preset", program.preset, program.decided_s)
            self._commands.configured()
        else:
            self._supervisor.restart("config")
        await asyncio.Event().wait()


def _queue(columns, clock, feed, buffer) -> Queue:
    return Queue(
        [Property(*column) for column in columns],
        clock,
        buffer["ram_points"],
        feed["format"] == "compact",
        feed["max_points"],
        round(1000 * feed["max_age_s"]),
        buffer["when_full"],
        buffer["flash_kib"],
        round(1000 * buffer["spill_after_s"]),
        board.reset_cause() in board.COUNTER_SURVIVES,
    )


class _Controls:
    """What commands act on."""

    def __init__(self, thermostat, program, led):
        self.thermostat = thermostat
        self.program = program
        self._led = None if led is None else board.Output(led, "high")
        self._until_ms = 0
        self.queue = self.uplink = self.restart = None

    def propose(self, part: dict) -> tuple:
        return change.propose(part, self.reached())

    def reached(self) -> list:
        worked = (self.uplink.mqtt_ok, self.uplink.https_ok)
        return [way for way, ok in zip(("mqtt", "https"), worked) if ok]

    def identify(self, seconds: int):
        self._until_ms = uptime.ms() + 1000 * seconds
        _log.info("this is the device that was asked to show itself")

    def blink(self, now_ms: int):
        if self._led:
            self._led.set(now_ms < self._until_ms and not self._led.on)


def _range_of(specs: list, prop: str):
    """What the sensor of that property can measure, (lowest, highest)."""
    for spec in specs:
        if spec["prop"] == prop:
            return sensors.driver(spec["driver"]).RANGE
    return None
