"""MQTT sessions against a scripted broker on a real socket."""

import asyncio

import broker
from firmware.link.mqtt_session import Session
from peers import HOST, NETWORK, Peer, until

TOPIC = b"csipio/data/in/devices/_dev_1/properties/setpoint"
PUBLISH = 0x30


class Link:
    """A session, and what it was told."""

    async def open(self, script, **kw):
        self.messages = []
        self.retained = []  # of each message, whether it is
        self.received = []  # (kind, packet id) of every packet
        self.error = None
        self.peer = Peer(script, **kw)
        self.stream = await NETWORK.connect(HOST, self.peer.port)
        self.session = Session(self.stream, b"_dev_1", self.take)
        return self

    def take(self, topic, payload):
        self.messages.append((topic, payload))
        self.retained.append(self.session.retained)

    def listen(self):
        self.task = asyncio.create_task(self._listen())

    async def _listen(self):
        try:
            while True:
                self.received.append(await self.session.receive())
        except Exception as error:
            self.error = error


async def session(script, **kw):
    return await Link().open(script, **kw)


async def told(data):
    """The Link after the broker sent this and closed."""

    async def script(conn):
        await conn.write(data)

    link = await session(script)
    link.listen()
    await until(lambda: link.error, "the end of the session")
    link.stream.close()
    link.peer.close()
    return link


async def exchange(data, answers):
    """The Link, and what it sent until there were so many packets of answer."""
    sent = []

    async def script(conn):
        await conn.write(data)
        for _ in range(answers):
            sent.append(await broker.read_packet(conn))

    link = await session(script)
    link.listen()
    await link.peer.finished()
    return link, sent
