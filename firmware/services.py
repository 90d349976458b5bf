"""Builds everything beside the regulation: the buffer, the commands, the link and what they need.

Each part is made as soon as that works (supervision/parts.py). Those that tell it something, the
sensors' tasks and the regulation's, need not know what is there yet.
"""

import asyncio

from micropython import const

try:
    from typing import Any
except ImportError:  # the board has no typing, and asks for no types
    Any = None

from firmware import config
from firmware.base import files, uptime
from firmware.base.passing import passing
from firmware.base.pause import Pause
from firmware.base.rare import rare
from firmware.base.url import parse_url
from firmware.board import board
from firmware.commands import door
from firmware.commands.device import Device
from firmware.commands.store import Store
from firmware.link.dns import Resolver
from firmware.link.stream import Network
from firmware.link.timekeeper import Timekeeper
from firmware.link.uplink import Uplink
from firmware.points.intake import Intake, make_queue
from firmware.supervision import lamp, starts
from firmware.supervision.health import Health, tight

_LINK_SILENCE_MS = const(180000)  # without progress it stands still; it may wait for a Wi-Fi
_BUFFER_SILENCE_MS = const(60000)
_PROVEN = const(5)  # steps of the regulation after which its configuration is a good one
_UPDATE = "update.json"  # there is an update under way, on trial or to be told
_LASTED = const(120)  # after which a start has not ended early
_FAULT_S = const(60)  # between two looks for a fault to be told


class Services:
    """To the samplers it is an Intake, to the loop and the commands whoever they tell, and to the
    command `report_every` a queue. Without a buffer, each reading is counted as lost, and of each
    state the last one waits.
    """

    @rare
    def __init__(
        self, settings: dict, trial, clock, regulation, program, supervisor, meter, safe=False
    ):
        """`regulation`, `program`: None on a device that regulates nothing; in safe mode (`safe`)
        a regulation has no program.
        """
        self._settings: "dict | None" = settings  # until all parts are made
        self._led = settings["device"]["led"]
        self._trial = trial
        self._clock = clock
        self._regulation = regulation
        self._program = program
        self._supervisor = supervisor
        self._meter = meter
        self._safe = safe
        self.pause = Pause()  # the regulation's, which a command cuts
        self._network: Any = None
        self._queue: Any = None
        self._intake: Any = None
        self._store: Any = None
        self._light: Any = None
        self._device: Any = None
        self._commands: Any = None
        self._uplink: Any = None
        self._keeper: Any = None
        self._untold: Any = None
        self._update: Any = None  # the coroutine function of one that is under way or on trial
        self._updates = False  # there is a task for them
        self._owes = False  # a look for a fault to be told
        self._max_age_ms = round(1000 * settings["feed"]["max_age_s"])
        self._confirm_ms = 0  # uptime at which a configuration on trial is decided
        self._waiting = {}
        self._lost = 0
        self._ticks = 0

    # The parts, each made as a whole or not at all

    @rare
    def make_network(self) -> None:
        """Early, as its TLS context is the largest block of the heap after the start."""
        settings = self._settings
        schemes = [parse_url(settings[way]["url"])[0] for way in ("mqtt", "https")]
        secure = any(scheme in ("mqtts", "wss", "https") for scheme in schemes)
        tls = settings["tls"]
        names = Resolver(board.name_servers, more=settings["network"]["dns"])
        self._network = Network(names, tls["ca"] if secure else "", tls["verify"], tight)

    @rare
    def make_lamp(self) -> None:
        led = self._led
        if led is not None:
            self._light = board.Output(led, "high")

    @rare
    def make_buffer(self) -> None:
        settings = self._settings
        columns = [(spec["prop"], spec["decimals"]) for spec in settings["sensors"]]
        if self._regulation:
            columns += [(name, 0) for name, _ in self._regulation.state()]
        settable = ("device", "thermostat", "program") if self._program else ("device",)
        columns += door.properties(settable)
        health = settings["health"]
        reported = health["properties"] if health["every_s"] else ()
        columns += [(name, 0) for name in reported]
        a_second = len(reported) / (health["every_s"] or 1)
        for spec in settings["sensors"]:
            a_second += 1 / spec["every_s"]
        if "lastfault" not in reported:
            columns.append(("lastfault", 0))
        survived = board.reset_cause() in board.COUNTER_SURVIVES
        retained = board.Retained()
        feed, buffer = settings["feed"], settings["buffer"]
        lost = retained.get() + self._lost
        queue = make_queue(columns, a_second, self._clock, feed, buffer, survived, lost)
        intake = Intake(queue, retained, self._in_flight)
        self._supervisor.add("journal", intake.run, _BUFFER_SILENCE_MS, intake)
        queue.max_age_ms = self._max_age_ms
        self._queue = queue
        self._intake = intake

    @rare
    def make_commands(self) -> None:
        store = Store()
        device = Device(self, self._supervisor.restart, self._propose, self._begin_update)
        owners: dict = {"device": device}
        if self._program:
            owners.update({"thermostat": self._regulation.thermostat, "program": self._program})
        commands = door.Commands(owners, self._answer, store, self._clock)
        commands.restore(self._trial.named(), self._trial.note())
        self._store = store
        self._device = device
        self._commands = commands

    @rare
    def make_link(self, wifi) -> bool:
        """False: it lacks another part. `wifi`: the board's, or None."""
        commands, queue, intake = self._commands, self._queue, self._intake
        network = self._network
        if None in (commands, queue, network, wifi):
            return False
        settings, clock = self._settings, self._clock
        supervisor = self._supervisor
        if settings["device"]["provision"]:
            settings["device"]["provision"]["mac"] = board.mac()
        ntp, url = settings["time"]["ntp"], settings["https"]["url"]
        keeper = Timekeeper(clock, ntp, network, wifi, url, self._set_time)
        calls = self._handle, commands.recover, commands.recovered, keeper.dated
        uplink = Uplink(settings, network, queue, clock, wifi, *calls)
        parts = {
            "queue": queue,
            "uplink": uplink,
            "failover": uplink.failover,
            "wifi": wifi,
            "supervisor": supervisor,
            "loop_meter": self._meter,
            "heater": self._regulation and self._regulation.heater,
            "board": board,
            "services": self,
        }
        health_s = settings["health"]["every_s"]
        health = Health(parts, intake.has, intake.tell, health_s)
        self._confirm_ms = 1000 * settings["config"]["confirm_s"]
        tasks = [
            ("time", self._keep_time),
            ("link", uplink.run, _LINK_SILENCE_MS, uplink),
        ]
        if health_s:
            tasks.append(("health", health.run))
        if self._trial.pending():
            tasks.append(("trial", self._run_trial))
        if files.exists(_UPDATE):
            self._updates = True
            tasks.append(("update", self._run_updates))
        health.log_memory(network.secure)
        if wifi.broken:
            supervisor.restart_at_rest("failure")
        supervisor.add_all(tasks)
        self._uplink = uplink
        self._keeper = keeper
        self._settings = self._network = None
        self._owes = files.exists(starts.FAULT)
        return True

    # What the samplers and the loop tell

    def put(self, index: int, value) -> None:
        if self._intake:
            self._intake.put(index, value)
        else:
            self._lost += 1

    def retain(self) -> None:
        if self._intake:
            self._intake.retain()

    def offer(self, index: int, name: str, value) -> bool:
        return self._uplink is not None and self._uplink.offer(index, name, value)

    def tell(self, name: str, value, t_ms: "int | None" = None) -> None:
        if self._intake:
            self._intake.tell(name, value, t_ms)
        else:
            self._waiting[name] = (value, t_ms)

    def changed(self, names: tuple) -> None:
        if self._commands:
            self._commands.changed(names)

    def blink(self, now_ms: int) -> None:
        """Once a second: the lamp shows how the device fares."""
        if self._light:
            asked = self._device is not None and self._device.shows(now_ms)
            fault = self._regulation is not None and self._regulation.thermostat.fault is not None
            link = self._uplink and self._uplink.failover
            joined = link is not None and link.state != "wifi"
            reached = joined and link.carrier != "none"
            self._light.set(lamp.lit(self._ticks, asked, self._safe, fault, joined, reached))

    def tick(self, now_ms: int) -> None:
        """After each step of the regulation, once a second."""
        self._ticks += 1
        if self._ticks == _PROVEN:
            self._trial.proven()
        elif self._ticks == _LASTED and not self._safe:
            starts.lasted()
        if self._intake:
            for name in list(self._waiting):
                self._intake.tell(name, *self._waiting[name])
                del self._waiting[name]
        if self._commands:
            self._commands.tick(now_ms)
        # At once, with or without a report: this run may not last until the next one.
        if self._ticks % _FAULT_S == 0:
            self._owes = True
        if self._owes and self._uplink and self._uplink.reached():
            self._owes = False
            text = self.lastfault()
            if text:
                self.tell("lastfault", text)

    # What others ask of them

    @property
    def max_age_ms(self) -> int:
        return self._queue.max_age_ms if self._queue else self._max_age_ms

    @max_age_ms.setter
    def max_age_ms(self, ms: int):
        self._max_age_ms = ms
        if self._queue:
            self._queue.max_age_ms = ms

    def spill(self) -> None:
        """What is only in RAM goes to flash."""
        if self._queue:
            self._queue.flush()

    def leave(self) -> None:
        """The session ends, and what is in flight goes back into the buffer."""
        if self._uplink:
            self._uplink.stop()

    def keep(self) -> None:
        """What was set goes to flash, and that the configuration is good, if the regulation ended
        well.
        """
        if self._ticks:
            self._trial.proven()
        if self._store:
            self._store.flush()
        if self._light:
            self._light.set(False)

    @rare
    def lastfault(self) -> "str | None":
        """What the health tells of the fault that is kept, once the platform is reached."""
        if not files.exists(starts.FAULT) or not self._uplink.reached():
            return None
        if not self._untold:
            from firmware.supervision import faults

            self._untold = faults.Untold(self._queue, config.censored)
        return self._untold.take()

    def _handle(self, name: str, payload) -> bool:
        obeyed = self._commands.handle(name, payload)
        if obeyed:
            self.pause.cut()
        return obeyed

    def _answer(self, name: str, value, t_ms: "int | None") -> None:
        self.tell(name, value, t_ms)
        if self._uplink:
            self._uplink.hurry()

    def _in_flight(self) -> int:
        return self._uplink.in_flight if self._uplink else 0

    def _reached(self) -> list:
        # A configuration is not kept before the regulation has run with it.
        return self._uplink.reached() if self._uplink and self._ticks >= _PROVEN else []

    def _run_trial(self):
        return self._trial.run(self._reached, self._confirm_ms, self._tried)

    def _tried(self, kept: bool):
        if kept:
            self._commands.configured()
        else:
            self._supervisor.restart("config")

    def _propose(self, part: dict) -> tuple:
        reached = self._uplink.reached() if self._uplink else []
        return passing(_propose, self._trial, part, reached)

    def _begin_update(self, tree: dict) -> dict:
        """Begin the update to the release of that manifest; returns the answer to it. Raises
        ValueError, with words.
        """
        if self._update or files.exists(_UPDATE):
            raise ValueError(
                "another update is under way; wait until it is told what became of it"
            )
        if self._trial.pending():
            raise ValueError("a configuration is on trial; wait until it is kept or given up")
        if not self._uplink:
            raise ValueError("the link is not made yet; send it again")
        self._update = self._make_update(tree)
        if not self._updates:
            self._updates = True
            self._supervisor.add("update", self._run_updates)
        return {"version": tree["version"], "state": "checking"}

    @rare
    def _make_update(self, tree):
        """The coroutine function of a new update or, for None, of the one on flash."""
        return passing(
            _make_update,
            tree,
            config.update(),
            self._uplink,
            board,
            self._supervisor,
            self._steps,
            self._report_update,
            self._rests,
        )

    def _steps(self) -> int:
        return self._ticks

    def _report_update(self, value, why: "str | None"):
        self._commands.report("update", value, why)

    def _rests(self, patient: bool) -> bool:
        return self._regulation is None or self._regulation.rests(uptime.ms(), patient)

    async def _run_updates(self):
        if not self._update and files.exists(_UPDATE):
            self._update = self._make_update(None)
        while True:
            if self._update:
                await self._update()
                self._update = None
            await asyncio.sleep_ms(1000)

    def _keep_time(self):
        return self._keeper.run(self._uplink.alone)

    def _set_time(self, utc_ms: int):
        # What is on flash is dated before the board's counter may jump.
        self._queue.tick()
        board.set_time(utc_ms)


def _propose(*given):
    from firmware.config import proposal

    return proposal.propose(*given)


def _make_update(*given):
    from firmware.update import start

    return start.make(*given)
