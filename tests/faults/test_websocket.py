"""Faults of the WebSocket that MQTT goes through: of its upgrade, and of its frames (RFC 6455)."""

import pytest

from tests.faults.rig import Rig, together
from tools.faults.faults import LEFT, STAYS, Cut, HalfOpen, Rewrite, Stall
from tools.faults.units import DOWN


def instead(name, unit):
    """These bytes in the place of the first ones of a new connection: of the upgrade's answer."""
    return Rewrite(name, DOWN, None, lambda _: [unit], anew=True, most=1)


def before(name, frame, until=LEFT):
    """This frame in the middle of a session."""
    return Rewrite(name, DOWN, None, lambda unit: [frame, unit], 1, until, most=1)


def upgrades():
    return [
        instead("no upgrade", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        instead("an upgrade with a wrong key", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        instead("garbage instead of an upgrade", b"\xff" * 200),
        Cut("the upgrade's answer, at every 20th byte", DOWN, None, 0, 20),
        Stall(DOWN, 50),
    ]


def frames():
    return [
        before("a ping", b"\x89\x04ping", STAYS),
        before("a pong that nobody asked for", b"\x8a\x04pong", STAYS),
        before("a close", b"\x88\x02\x03\xe8"),
        before("a frame of text", b"\x81\x02hi"),
        before("a frame that is masked", b"\x82\x82abcdhi"),
        before("a frame of 2 ** 62 bytes", b"\x82\x7f\x40" + bytes(7)),
        before("a frame with reserved bits", b"\xf2\x00"),
        before("a ping of 1000 bytes", b"\x89\x7e\x03\xe8" + bytes(1000)),
        HalfOpen("half-open"),
    ]


@pytest.mark.timeout(300)
def test_websockets(tmp_path):
    def life(number, faults):
        with Rig(tmp_path / str(number), "WebSocket", 10 * number, websocket=True) as rig:
            rig.start()
            for fault in faults:
                rig.measure(fault, rig.broker)
            rig.finish()
        return rig

    together(lambda: life(0, upgrades()), lambda: life(1, frames()))
