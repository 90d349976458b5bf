"""A device, the servers it needs, a proxy in front of each, and the measure of a fault.

    device ──► broker proxy ──► mosquitto (TLS)        plain MQTT before the proxy, unless the
           └─► api proxy    ──► stand-in's HTTPS API   faults are TLS's own

A rig is complete in itself, so that several run at once. Its device is the whole firmware, with
two things that only spare time (`_IMPATIENT`): each failure is followed by the back-off of a
first one, up to a second, however many came before it; and the deadlines are a third of their
length, those of acknowledgements a half. One test of test_connections.py leaves both as they are.
"""

import contextlib
import itertools
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import psutil

import tools.device
from tests.faults import table
from tests.faults.names import NameServer
from tests.system.device import Device, wait
from tests.system.mosquitto import Mosquitto
from tools.faults import units
from tools.faults.faults import STAYS, Away
from tools.faults.proxy import PORT_ATTEMPTS, Loop, Proxy, Somebody
from tools.platform.thread import PlatformThread

HEAP = "512K"
PERIOD_S = 0.1
# What is waited for takes seconds; these machines do much else at the same time.
PATIENCE_S = 60
# Nothing has to be waited for any more when the readings are there again.
SETTLED_S = 20
# The budget is 50 ms, and the table says what kept it. A test fails where the network plainly held
# up the loop; below that, on a busy machine, it may have been the machine.
GROSS_PAUSE_MS = 1000
# Heap that is in use by chance when it is measured: feeds in flight, fragments. A fault that leaks
# costs at least a stream with its buffers each time, and most of them strike more than once.
HEAP_NOISE = 8192
# From the fault's end until readings come the usual way again: what is left of a deadline, a
# back-off of a first failure, the 3 s for which MQTT has to hold after HTTPS; and a busy machine.
RECOVERY_S = 30
_LINES = 40  # of the log, in a failure

_IMPATIENT = """
from firmware.link import deadlines
for _name in dir(deadlines):
    if _name.endswith("_MS") and _name != "DNS_MS":
        setattr(deadlines, _name, getattr(deadlines, _name) // (2 if "ANSWER" in _name else 3))
from firmware.link.pacing import Backoff
def _failed(self, now_ms, floor_ms=0, _failed=Backoff.failed):
    self.succeeded()
    delay_ms = _failed(self, now_ms, min(floor_ms, 2000)) // %d
    self.at_ms = now_ms + delay_ms
    return delay_ms
Backoff.failed = _failed
"""


class _Device(Device):
    """The firmware, started without the command line around it, which takes longer than it."""

    before = ""  # MicroPython that is run before the firmware

    def start_as_it_is(self, heap: str | None = None) -> None:
        # From the sources: `before` changes modules by their names.
        argv, environment = tools.device.command(heap, origin="sources", first=self.before)
        self._start(argv, self.folder, environment)

    @property
    def sockets(self) -> int:
        """Open file descriptors: a socket that was forgotten is one of them."""
        return self.process.num_fds()

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)


class Ledger:
    """Every point that arrived, whichever way."""

    def __init__(self, broker: Mosquitto, platform: PlatformThread):
        self._broker = broker
        self._platform = platform
        self._feeds = self._writes = 0
        self.times: dict[int, set[int]] = {}  # of each reading: the milliseconds that it came with
        self.newest = {"mqtt": 0, "https": 0}  # the time of the newest reading of each way
        self.health: dict[str, list[tuple[int, object]]] = {}

    def read(self) -> None:
        feeds = self._broker.feeds[self._feeds :]
        self._feeds += len(feeds)
        for feed in feeds:
            base_ms = _milliseconds(feed["t"]) if "t" in feed else 0
            for p in feed["dps"]:
                t_ms = _milliseconds(p["t"]) if "t" in p else base_ms + p.get("tt", 0)
                self._enter("mqtt", p.get("prop") or feed["prop"], t_ms, p["v"])
        writes = self._platform.writes(self._writes)
        self._writes += len(writes)
        for w in writes:
            if w["key"] == "device":
                self._enter("https", w["prop"], w["t_ms"], w["value"])

    def _enter(self, way: str, prop: str, t_ms: int, value) -> None:
        if prop == "counter":
            self.times.setdefault(value, set()).add(t_ms)
            self.newest[way] = max(self.newest[way], t_ms)
        else:
            self.health.setdefault(prop, []).append((t_ms, value))

    def since(self, prop: str, t_ms: int) -> list:
        return [value for at, value in self.health.get(prop, []) if at >= t_ms]


class Rig:
    """`with Rig(folder, family) as rig: rig.start(); rig.measure(fault, rig.broker)`."""

    def __init__(
        self,
        folder: Path,
        family: str,
        order: int = 0,
        secure: bool = False,
        haste: int = 1,
        named: bool = False,
        patient: bool = False,
        websocket: bool = False,
    ):
        """order: of the rig's first row in the table. secure: the device speaks TLS. haste: the
        back-off's delays are divided by it. named: the servers have names that only `names`
        knows. patient: neither back-off nor deadlines are shortened. websocket: MQTT goes
        through one."""
        self._folder = folder
        self._family = family
        self._order = order
        self._secure = secure
        self._haste = haste
        self._named = named
        self._patient = patient
        self._websocket = websocket
        self._left = contextlib.ExitStack()
        self.problems: list[str] = []

    def __enter__(self) -> "Rig":
        with self._left:
            enter = self._left.enter_context
            self._folder.mkdir(parents=True)
            self.platform = enter(
                _on_free_ports(lambda n: PlatformThread(self._folder / f"platform-{n}"))
            )
            info = self.platform.info
            self.mosquitto = enter(
                _on_free_ports(
                    lambda n: Mosquitto(self._folder / f"mosquitto-{n}", info["device"])
                )
            )
            self.loop = enter(Loop())
            api_port = int(info["api"].split(":")[2].split("/")[0])
            if self._secure:
                to_broker, to_api, packets, messages = None, None, units.Records, units.Records
            else:
                to_broker = ssl.create_default_context(cafile=str(self.mosquitto.ca))
                to_api = ssl.create_default_context(cafile=info["ca"])
                packets, messages = units.Packets, units.Messages
            broker_port = self.mosquitto.port
            if self._websocket:
                broker_port, to_broker, packets = self.mosquitto.ws, None, units.Chunks
            self.broker = enter(Proxy(self.loop, ("127.0.0.1", broker_port, to_broker), packets))
            self.api = enter(Proxy(self.loop, ("127.0.0.1", api_port, to_api), messages))
            self.device = _Device(self._folder / "device", info)
            self._left.callback(self.device.stop)
            self.names = enter(NameServer(self.loop))
            self._configure()
            self.ledger = Ledger(self.mosquitto, self.platform)
            self._left = self._left.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._left.close()

    def _configure(self) -> None:
        self.platform.control(lambda tree: tree["limits"].update(rateLimit=6000))
        bundle = self.device.folder / "certs/ca.pem"
        bundle.write_text(bundle.read_text() + self.mosquitto.ca.read_text())
        if not self._patient:
            self.device.before = _IMPATIENT % self._haste
        broker = api = "localhost"
        if self._named:
            broker, api = "broker.test", "api.test"
            name_server = f"nameserver 127.0.0.1:{self.names.port}\n"
            (self.device.folder / "resolv.conf").write_text(name_server)
        s = "s" if self._secure else ""
        config = self.device.config
        scheme = "ws" if self._websocket else f"mqtt{s}"
        config["mqtt"] = {"url": f"{scheme}://{broker}:{self.broker.port}", "grace_s": 1}
        config["https"] = {"url": f"http{s}://{api}:{self.api.port}/v3"}
        config["feed"] = {"max_age_s": 0.3, "per_minute": 600}
        config["thermostat"]["setpoint"] = 10
        self.device.count(PERIOD_S)

    def mqtt_is_away(self) -> None:
        """The broker serves nobody, now or ever."""
        self.broker.inject(Away())

    def disconnect(self) -> None:
        """Break off every connection of the device."""
        for proxy in (self.broker, self.api):
            proxy.cut()

    def launch(self) -> None:
        """Start the device, whatever comes of it."""
        self.device.start(heap=HEAP)
        # Before all else that runs here, where that is allowed: the pauses are to be its own.
        with contextlib.suppress(psutil.AccessDenied):
            self.device.process.nice(-10)

    def start(self, way: str = "mqtt") -> None:
        """Start the device, and wait until its readings come the usual way."""
        self._way = way
        self.launch()
        self.wait(lambda: self.ledger.newest[way], "the first readings")
        # Whatever is loaded or made once, at the first report or the first feed, is there then.
        settled_ms = _now_ms() + 2000
        sockets = []
        self.wait(
            lambda: sockets.append(self._sockets()) or self.ledger.since("freeheap", settled_ms),
            "the first reports",
        )
        self._most_sockets = max(sockets)
        self._least_heap = self._heap_since(settled_ms) - HEAP_NOISE

    def measure(
        self,
        fault,
        at,
        during: Callable[[], object] | None = None,
        within_s: Callable[[list[str]], float] = lambda _: RECOVERY_S,
    ) -> None:
        """Live through one fault of the proxy `at`, and enter its row in the table.

        during: called once the fault is there. within_s: from the log's lines since then, how
        long the recovery may take. What is wrong is noted in `problems`, and the next fault
        measured all the same.
        """
        lines = len(self.device.log)
        try:
            self._measure(fault, at, during)
            allowed_s = within_s(self.device.log[lines:])
            assert self._recovery_s <= allowed_s, f"{self._recovery_s:.1f} s, not {allowed_s} s"
        except AssertionError as error:
            at.heal()
            tail = "\n".join(self.device.log[lines:][:_LINES])
            self.problems.append(f"{self._family}: {fault.name}: {error}\n{tail}")

    def _measure(self, fault, at, during) -> None:
        begun_ms = _now_ms()
        sockets = self._sockets()
        heap = self._heap_since(begun_ms - 1000)
        at.inject(fault)
        if during:
            during()
        self.wait(lambda: fault.done, "the end of the fault")
        at.heal()
        ended_ms = _now_ms()
        ended_s = time.monotonic()
        self.wait(lambda: self.ledger.newest[self._way] > ended_ms, "a new reading")
        self._recovery_s = time.monotonic() - ended_s
        last = self.device.counted()[-1]
        try:
            self.wait(lambda: not self.missing(last), "every reading")
        except AssertionError as error:
            raise AssertionError(f"{error}; missing {self.missing(last)}") from None
        if fault.until == STAYS:
            assert not fault.left, "the connection did not outlive it"
        most = self._most_sockets
        try:
            self.wait(lambda: self._sockets() <= most, f"{most} open files", SETTLED_S)
        except AssertionError as error:
            # What is lost is lost; the next fault is measured against it.
            self._most_sockets = self._sockets()
            raise AssertionError(f"{error}; {self._most_sockets} are open") from None
        quiet_ms = _now_ms()
        heap_after = self._heap_since(quiet_ms, self._least_heap)
        self.wait(lambda: self.ledger.since("looppause", quiet_ms), "the loop's pauses")
        pauses = self.ledger.since("looppause", begun_ms)
        twice = {value: times for value, times in self.ledger.times.items() if len(times) > 1}
        table.add(
            self._family,
            self._order,
            {
                "fault": fault.name,
                "met": fault.met,
                "pause_ms": max(pauses),
                "readings": last + 1 - len(self.missing(last)),
                "taken": last + 1,
                "recovery_s": self._recovery_s,
                "sockets": (sockets, self._sockets()),
                "heap": (heap, heap_after),
            },
        )
        self._order += 1
        assert not twice, f"readings with two times: {twice}"
        assert max(pauses) < GROSS_PAUSE_MS, f"the loop paused: {pauses}"

    def somebody(self, context: ssl.SSLContext | None = None) -> "Somebody":
        """Somebody else's server, in clear or with this certificate."""
        return self._left.enter_context(Somebody(self.loop, context))

    def finish(self) -> None:
        """What can be said only at the end: that no task died on the way."""
        died = [line for line in self.device.log if "Traceback" in line or " died: " in line]
        if died:
            tail = "\n".join(self.device.log[-_LINES:])
            self.problems.append(f"{self._family}: {died}\n{tail}")
        self.device.stop()

    def check(self) -> None:
        """Fail if there were problems."""
        assert not self.problems, "\n\n".join(self.problems)

    def missing(self, last: int) -> list[int]:
        """The readings up to this one that have not arrived."""
        return [n for n in range(last + 1) if n not in self.ledger.times]

    def _sockets(self) -> int:
        return self.device.sockets

    def _heap_since(self, t_ms: int, least: int = 0) -> int:
        """The free heap of the first report since then that has at least so much."""
        found = self.wait(
            lambda: [v for v in self.ledger.since("freeheap", t_ms) if v >= least],
            f"a report of {least} bytes of heap or more",
        )
        return found[0]

    def wait(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE_S):
        """The first true answer of `condition`, while the device runs and points arrive."""

        def answer():
            assert self.device.running, "the device ended"
            self.ledger.read()
            return condition()

        return wait(answer, what, seconds)


@contextlib.contextmanager
def _on_free_ports(make: Callable) -> Iterator:
    """A server. Ports that were free may be taken when it comes to listen: then another one."""
    for attempt in itertools.count(1):
        with contextlib.ExitStack() as left:
            try:
                running = left.enter_context(make(attempt))
            except OSError:
                if attempt == PORT_ATTEMPTS:
                    raise
                continue
            yield running
            return


def together(*lives: Callable[[], Rig]) -> None:
    """Run several devices' lives at once; each returns its rig. Fails with all their problems."""
    with ThreadPoolExecutor(len(lives)) as pool:
        rigs = [future.result() for future in [pool.submit(life) for life in lives]]
    problems = [problem for rig in rigs for problem in rig.problems]
    assert not problems, "\n\n".join(problems)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _milliseconds(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)
