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
from firmware.points.intake import Intake, make_queue
from firmware.sensors.sampler import samplers
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
    try:
        _run()
    except KeyboardInterrupt:
        from firmware.setup import entrance

        entrance.enter()


def _run():
    app = None
    try:
        _log.info("firmware %s, started by %s", VERSION, board.reset_cause())
        trial = Trial()
        app = App(load.wait_for_good(trial), trial)
        why = asyncio.run(app.main())
        app.stop()
        _log.info("restarting: %s", why)
        board.restart(why)
    except KeyboardInterrupt:
        try:
            app and app.stop()
        except KeyboardInterrupt:  # an impatient second one
            app.stop()
        raise
    except Exception as error:
        # Not even the start succeeds: a wrong pin, or too little memory for what is configured.
        app and app.safe()
        _log.error("%s: %s; restarting in %d s", type(error).__name__, error, _AGAIN_S)
        sys.print_exception(error)
        time.sleep(_AGAIN_S)
        board.restart("failure")
    finally:
        app and app.safe()
        asyncio.new_event_loop()


class App:
    """One thermostat: its parts, none of which keeps the settings, and their tasks."""

    def __init__(self, settings: dict, trial: Trial):
        self._trial = trial
        specs = settings["sensors"]
        # First of all, so that the relays' pins have a defined level.
        regulated = settings["thermostat"]
        self._regulation = thermostat = program = None
        if regulated:
            (spec,) = [spec for spec in specs if spec["prop"] == regulated["sensor"]]
            range_c = sensors.limits(spec)
            self._regulation = Regulation(regulated, board.Output, range_c, uptime.ms())
            thermostat = self._regulation.thermostat
        # Then the radio, which needs large blocks of memory.
        wifi = board.Wifi(settings["wifi"])
        if regulated:
            from firmware.control.program import Program

            program = Program(regulated, settings["time"]["zone"], thermostat)

        columns = [(spec["prop"], spec["decimals"]) for spec in specs]
        if regulated:
            columns += [(name, 0) for name, _ in self._regulation.state()]
        settable = ("device", "thermostat", "program") if regulated else ("device",)
        columns += door.properties(settable)
        health_s = settings["health"]["every_s"]
        columns += [(name, 0) for name in settings["health"]["properties"] if health_s]
        clock = Clock(counter_ms=board.counter_ms)
        survived = board.reset_cause() in board.COUNTER_SURVIVES
        retained = board.Retained()
        feed, buffer = settings["feed"], settings["buffer"]
        self._queue = queue = make_queue(columns, clock, feed, buffer, survived, retained.get())
        self._intake = intake = Intake(queue, retained, self._in_flight)

        self._supervisor = supervisor = Supervisor(board.watchdog, queue.flush, self.safe)
        self._store = Store()
        led = settings["device"]["led"]
        light = None if led is None else board.Output(led, "high")
        device = Device(queue, light, supervisor.restart, self._propose)
        owners: dict = {"device": device}
        if regulated:
            owners.update({"thermostat": thermostat, "program": program})
        commands = door.Commands(owners, intake.tell, self._store, clock)
        tls = settings["tls"]
        network = Network(Resolver(board.name_servers), tls["ca"], tls["verify"])
        calls = commands.handle, commands.recover, commands.recovered
        self._uplink = uplink = Uplink(settings, network, queue, clock, wifi, *calls)
        commands.restore(trial.named(), trial.note())

        self._meter = meter = LoopMeter()
        also = (device.blink, commands.tick)
        loop = Loop(
            self._regulation, program, clock, intake.tell, commands.changed, also, meter.late
        )
        supervisor.add("regulation", loop.run, _REGULATION_SILENCE_MS, loop)
        heard = {regulated["sensor"]: (thermostat.reading,)} if regulated else {}
        for sampler in samplers(specs, heard, intake, supervisor.failed, uplink.offer):
            silence_ms = _SENSOR_SILENCE_MS + 2 * sampler.every_ms
            supervisor.add(sampler.name, sampler.run, silence_ms, sampler)
        supervisor.add("journal", intake.run, _SENSOR_SILENCE_MS, intake)
        ntp, url = settings["time"]["ntp"], settings["https"]["url"]
        asked = clock, ntp, network, wifi, url, uplink.alone, self._set_time
        supervisor.add("time", lambda: timekeeper.keep(*asked))
        supervisor.add("link", uplink.run, _LINK_SILENCE_MS, uplink)
        parts = {
            "queue": queue,
            "uplink": uplink,
            "failover": uplink.failover,
            "wifi": wifi,
            "supervisor": supervisor,
            "loop_meter": meter,
            "heater": self._regulation and self._regulation.heater,
            "board": board,
        }
        health = Health(parts, intake.has, intake.tell, health_s)
        if health_s:
            supervisor.add("health", health.run)
        if trial.pending():
            confirm_ms = 1000 * settings["config"]["confirm_s"]
            kept, failed = commands.configured, lambda: supervisor.restart("config")
            supervisor.add("trial", lambda: trial.run(uplink.reached, confirm_ms, kept, failed))
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

    def _in_flight(self) -> int:
        return self._uplink.in_flight

    def _propose(self, part: dict) -> tuple:
        return change.propose(self._trial, part, self._uplink.reached())

    def _set_time(self, utc_ms: int):
        # What is on flash is dated before the board's counter may jump.
        self._queue.tick()
        board.set_time(utc_ms)
