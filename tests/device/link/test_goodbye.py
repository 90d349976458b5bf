"""How a session over MQTT is left: with DISCONNECT (MQTT 3.1.1, section 3.14), so that nobody
takes the device for lost, and without waiting for anybody.
"""

import errno

import broker
from firmware.link.mqtt_session import Session
from firmware.link.stream import Stream
from firmware.link.websocket import WebSocket
from peers import failure, until
from websockets import frames
from world import World

DISCONNECT = 0xE0


async def test_a_stop_without_the_event_loop_says_goodbye_once():
    async with World() as world:
        await world.connected()
        world.link.stop()
        await until(lambda: world.broker.goodbyes, "the goodbye")
        world.link.stop()
        await world.end()
        await until(lambda: not world.broker.open, "the end")
        assert world.broker.goodbyes == 1
        world.task = _Over()


class _Over:
    """A task that is over, and was meant to be."""

    def done(self):
        return False

    def cancel(self):
        pass

    def __await__(self):
        return iter(())

    __iter__ = __await__


async def test_an_uplink_that_is_cancelled_says_goodbye():
    async with World() as world:
        await world.connected()
        await world.end()
        await until(lambda: world.broker.goodbyes == 1, "the goodbye")
        world.task = _Over()


async def test_a_session_that_is_left_for_the_state_says_goodbye():
    async with World() as world:
        await world.connected()
        world.skip(21600000)
        await world.connected(2)
        assert world.broker.goodbyes == 1


async def test_without_a_session_there_is_nobody_to_tell():
    async with World(mqtt=False, https=False) as world:
        world.link.stop()


class Wire:
    """A socket that takes what is written, or what it raises."""

    def __init__(self, error=None):
        self.error = error
        self.sent = b""

    def write(self, data):
        if self.error:
            raise self.error
        self.sent += bytes(data)
        return len(data)


def test_what_cannot_go_out_at_once_is_not_waited_for():
    for error in (
        OSError(errno.ENOTCONN),
        OSError(errno.ECONNRESET),
        ValueError("TLS"),
        MemoryError,
    ):
        session = Session(Stream(Wire(error)), b"_dev_1", None)
        session.leave()


async def test_nothing_goes_out_in_the_middle_of_a_packet():
    wire = Wire()
    session = Session(Stream(wire), b"_dev_1", None)
    async with session._sending:
        session.leave()
    assert wire.sent == b""

    class Overrun:
        """A feed whose points are gone."""

        def __len__(self):
            return 9

        def __iter__(self):
            yield b"1234"

    session.publish(b"t", Overrun(), 1)
    await failure(session.flush())
    before = wire.sent
    assert before
    session.leave()
    assert wire.sent == before


async def test_through_a_websocket_it_is_a_frame_between_two_others():
    wire = Wire()
    web = WebSocket(Stream(wire))
    session = Session(web, b"_dev_1", None)
    async with web._sending:
        session.leave()
    assert wire.sent == b""
    session.ping()
    await session.flush()
    session.leave()
    assert frames(wire.sent) == [(2, broker.PINGREQ), (2, bytes((DISCONNECT, 0)))]
