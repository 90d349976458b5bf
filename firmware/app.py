"""Builds every part from the configuration, hands each what it needs, and runs their tasks.

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
from firmware.commands.device import Device
from firmware.commands.store import Store
from firmware.config import change, load
from firmware.config.trial import Trial
from firmware.control.heating import Regulation
from firmware.control.loop import Loop
from firmware.link import timekeeper
from firmware.link.dns import Resolver
from firmware.link.stream import Network
from firmware.link.uplink import Uplink
from firmware.points.feed import Property
from firmware.points.intake import Intake
from firmware.points.queue import Queue
from firmware.sensors.sampler import Sampler
from firmware.supervision.health import Health
from firmware.supervision.loop_meter import LoopMeter
from firmware.supervision.supervisor import Supervisor
from firmware.times.clock import Clock

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
        trial = Trial()
        app = App(load.wait_for_good(trial), trial)
        gc.collect()
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


class App:
    """One thermostat: its parts, none of which keeps the settings, and their tasks."""

    def __init__(self, settings: dict, trial: Trial):
        # First of all, so that the relays' pins have a defined level.
        regulated = settings["thermostat"]
        self._regulation = thermostat = program = None
        if regulated:
            range_c = _range_of(settings["sensors"], regulated["sensor"])
            self._regulation = Regulation(regulated, board.Output, range_c, uptime.ms())
            thermostat = self._regulation.thermostat
        # Then the radio, which needs large blocks of memory.
        wifi = board.Wifi(settings["wifi"])
        owners: dict = {}  # of commands
        if regulated:
            from firmware.control.program import Program

            program = Program(regulated, settings["time"]["zone"], thermostat)
            owners["thermostat"] = thermostat
            owners["program"] = program
        self._program = program
        self._trial = trial

        clock = Clock(counter_ms=board.counter_ms)
        columns = [(spec["prop"], spec["decimals"]) for spec in settings["sensors"]]
        if regulated:
            columns.extend([(name, 0) for name, _ in self._regulation.state()])
        columns.extend(door.properties(list(owners) + ["device"]))
        health_s = settings["health"]["every_s"]
        if health_s:
            columns.extend([(name, 0) for name in settings["health"]["properties"]])
        self._queue = queue = _queue(columns, clock, settings["feed"], settings["buffer"])
        names = [column[0] for column in columns]
        self._intake = intake = Intake(
            queue, names, board.Retained(), lambda: self._uplink.in_flight
        )
        self._supervisor = supervisor = Supervisor(board.watchdog, queue.flush, self.safe)

        led = settings["device"]["led"]
        led = None if led is None else board.Output(led, "high")
        device = Device(queue, led, lambda: supervisor.restart("command"), self._propose)
        owners["device"] = device
        self._store = Store()
        self._commands = commands = door.Commands(owners, intake.tell, self._store, clock)
        tls = settings["tls"]
        network = Network(Resolver(board.name_servers), tls["ca"], tls["verify"])
        calls = commands.handle, commands.recover, commands.recovered
        self._uplink: Uplink = Uplink(settings, network, queue, clock, wifi, *calls)
        commands.restore(trial.named(), trial.note())

        add = supervisor.add
        self._meter = LoopMeter()
        loop = Loop(
            self._regulation,
            program,
            clock,
            tell=intake.tell,
            changed=commands.changed,
            also=(device.blink, commands.tick),
            late=self._meter.late,
        )
        add("regulation", loop.run, _REGULATION_SILENCE_MS, loop)
        for index, spec in enumerate(settings["sensors"]):
            regulates = regulated and spec["prop"] == regulated["sensor"]
            listeners = (thermostat.reading,) if regulates else ()
            offer = None if spec["send"] == "feed" else self._uplink.offer
            sampler = Sampler(spec, index, listeners, intake, supervisor.failed, offer)
            silence_ms = _SENSOR_SILENCE_MS + int(2000 * spec["every_s"])
            add(spec["prop"], sampler.run, silence_ms, sampler)
        add("journal", intake.run, _SENSOR_SILENCE_MS, intake)
        asked = settings["time"]["ntp"], network, wifi, settings["https"]["url"]
        alone = self._uplink.alone
        add("time", lambda: timekeeper.keep(clock, *asked, alone, self._set_time))
        add("link", self._uplink.run, _LINK_SILENCE_MS, self._uplink)
        parts = {
            "queue": queue,
            "uplink": self._uplink,
            "wifi": wifi,
            "supervisor": supervisor,
            "loop_meter": self._meter,
            "heater": self._regulation and self._regulation.heater,
            "board": board,
        }
        health = Health(parts, intake.has, intake.tell, health_s)
        if health_s:
            add("health", health.run)
        if trial.pending():
            until_ms = 1000 * settings["config"]["confirm_s"]
            ends = self._kept, lambda: supervisor.restart("config")
            add("trial", lambda: trial.run(self._uplink.reached, until_ms, *ends))
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

    def _propose(self, part: dict) -> tuple:
        return change.propose(self._trial, part, self._uplink.reached())

    def _set_time(self, utc_ms: int):
        # What is on flash is dated before the board's counter may jump.
        self._queue.tick()
        board.set_time(utc_ms)

    def _kept(self):
        program = self._program
        if program and program.preset != "manual":
            # What the configuration says of the preset's set points.
            program.put("preset", program.preset, program.decided_s)
        self._commands.configured()


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


def _range_of(specs: list, prop: str):
    """What the sensor of that property can measure, (lowest, highest)."""
    for spec in specs:
        if spec["prop"] == prop:
            return sensors.driver(spec["driver"]).RANGE
    return None
