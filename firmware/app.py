"""Builds the regulation from the configuration, first and alone; then whatever is made beside it;
and runs the tasks under their supervisor. Or it starts safe mode: firmware/safe_mode.py.

The regulation needs nothing of the others. It shares the event loop with them, no step of which
blocks, and nothing else.
"""

import asyncio
import gc
import sys
import time

from micropython import const

from firmware import VERSION, config, sensors
from firmware.base import uptime
from firmware.base.log import Log
from firmware.base.rare import rare
from firmware.board import board
from firmware.config.trial import Trial
from firmware.control.heating import Regulation
from firmware.control.loop import Loop
from firmware.sensors.sampler import samplers
from firmware.services import Services
from firmware.supervision import starts
from firmware.supervision.loop_meter import LoopMeter
from firmware.supervision.parts import Parts
from firmware.supervision.supervisor import Supervisor
from firmware.times.clock import Clock

# Without progress for this time a task stands still.
_REGULATION_SILENCE_MS = const(10000)
_SENSOR_SILENCE_MS = const(60000)  # and two of its periods
_AGAIN_S = const(10)  # from a start that failed to the next one

_log = Log("app")


def run():
    """Run the firmware until it is interrupted. Whatever ends it, the relay goes off first."""
    try:
        _run()
    except KeyboardInterrupt:
        starts.lasted()
        from firmware.setup import entrance

        entrance.enter()


def _run():
    app = died = None
    why: "str | None" = "failure"
    try:
        _log.info("firmware %s, started by %s", VERSION, board.reset_cause())
        trial = Trial()
        early = starts.begin(not trial.pending())
        if early < starts.MOST:
            app = config.wait_for_good(trial, lambda settings: App(settings, trial))
        else:
            from firmware import safe_mode

            app = safe_mode.start(early, trial, App)
        why = asyncio.run(app.main())
    except KeyboardInterrupt:
        why = None
        raise
    except Exception as error:
        # Not even the regulation can be made; or too little memory for asyncio itself.
        died = error
        app and app.safe()
        sys.print_exception(error)
        _log.error("%s: %s; restarting in %d s", type(error).__name__, error, _AGAIN_S)
    finally:
        try:
            if app:
                app.stop()
        except KeyboardInterrupt:  # an impatient second one
            app.stop()
        finally:
            if died:
                _keep(died)
            if why == "failure":
                time.sleep(_AGAIN_S)
            if why:
                _log.info("restarting: %s", why)
                board.restart(why)


def _keep(error):
    try:
        from firmware.supervision import faults

        faults.keep("the run", error, True)
    except Exception as another:  # it restarts all the same
        sys.print_exception(another)


class App:
    """One thermostat: its parts, none of which keeps the settings, and their tasks.

    What keeps the regulation from being made is raised. What keeps another part from it is logged,
    and that part is tried again beside the regulation.
    """

    @rare
    def __init__(self, settings: dict, trial: Trial, regulation=None, over=None):
        """In safe mode: the regulation that is made already, None where nothing is regulated; and
        `over(now_ms, restart)`, called once a second.
        """
        specs = settings["sensors"]
        self._regulation = regulation
        program = self._supervisor = None
        self._wifi: board.Wifi | None = None
        # First of all, so that the relays' pins have a defined level.
        regulated = settings["thermostat"]
        if regulated:
            (spec,) = [spec for spec in specs if spec["prop"] == regulated["sensor"]]
            range_c = sensors.limits(spec)
            self._regulation = Regulation(regulated, board.Output, range_c, uptime.ms())
            from firmware.control.program import Program

            zone = settings["time"]["zone"]
            program = Program(regulated, zone, self._regulation.thermostat)
        # Then the radio, which needs large blocks of memory.
        # A rare method is loaded where its call is looked after, so each is called by a lambda.
        parts = Parts(self._failed)
        parts.add("the radio", lambda: self._make_radio(settings))
        clock = Clock(counter_ms=board.counter_ms)
        self._meter = meter = LoopMeter()
        kept = board.watchdog, self._spill, self.safe, self._rests
        self._supervisor = supervisor = Supervisor(*kept)
        given = settings, trial, clock, self._regulation, program, supervisor, meter
        self._services = services = Services(*given, over is not None)
        also = (lambda now_ms: over(now_ms, supervisor.restart),) if over else ()
        loop = Loop(
            self._regulation,
            program,
            clock,
            services.tell,
            services.changed,
            (services.blink, services.tick) + also,
            meter.late,
            supervisor.failed,
            services.pause,
        )
        supervisor.add("regulation", loop.run, _REGULATION_SILENCE_MS, loop)
        parts.add("the network", lambda: services.make_network())  # the large blocks first
        parts.add("the buffer", lambda: services.make_buffer())
        heard = {}
        if regulated:
            heard[regulated["sensor"]] = (self._regulation.thermostat.reading,)
        for sampler in samplers(specs, heard, services, supervisor.failed, services.offer):
            silence_ms = _SENSOR_SILENCE_MS + 2 * sampler.every_ms
            supervisor.add(sampler.name, sampler.run, silence_ms, sampler)
        parts.add("the lamp", lambda: services.make_lamp())
        parts.add("the commands", lambda: services.make_commands())
        parts.add("the link", lambda: services.make_link(self._wifi))
        if not parts.complete():
            supervisor.add("parts", parts.run)

    def main(self):
        """What the event loop is to run. It returns why the device is to be restarted."""
        self._meter.install()  # now: what waits in the loop's own queue would not be heard again
        return self._supervisor.run()

    def safe(self):
        """Every relay off, at once."""
        if self._regulation:
            self._regulation.off()

    def stop(self):
        """The relays off; what is not delivered, and what was set, on flash. Raises nothing."""
        for _ in range(2):  # it may be memory that was short
            try:
                self.safe()
                asyncio.new_event_loop()
                gc.collect()
                self._services.leave()
                self._services.spill()
                self._services.retain()
                self._services.keep()
                return
            except Exception as error:
                sys.print_exception(error)
        _log.error("what was only in RAM is lost")

    def _make_radio(self, settings: dict):
        radio, device_id = settings["network"], settings["device"]["id"] or board.mac()
        self._wifi = board.Wifi(settings["wifi"], radio=radio, device_id=device_id)

    def _failed(self, name: str, error):
        if self._supervisor:
            self._supervisor.failed(name, error)

    def _spill(self):
        self._services.spill()

    def _rests(self) -> bool:
        return self._regulation is None or not self._regulation.heater.on
