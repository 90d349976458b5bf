"""A broker that provisions: it admits a fleet by its key, and tells who asks who he is."""

import json

import broker
from world import DEVICE, SECRET, Broker

MAC = "24:0a:c4:00:01:fe"
CLIENT = b"_???_csipio240ac40001fe"
OWN = b"csipio/provisions/" + CLIENT
FLEET_SECRET = "fleets-secret"
ANSWER = {"deviceId": DEVICE, "apiKeyId": "_key_1", "apiSecret": SECRET}
PACKETS = ("CONNECT", "SUBSCRIBE", "PUBLISH", "PUBACK")  # of who asks


def fleet(**more):
    """The settings of `device.provision`, as the firmware completes them."""
    found = {"key_id": "_key_9", "key_secret": FLEET_SECRET, "by": "mac", "value": None}
    found.update(store=False, mac=MAC)
    found.update(more)
    return found


def changed(**members):
    """An answer with other members."""
    found = dict(ANSWER)
    found.update(members)
    return json.dumps(found).encode()


class Provisions(Broker):
    """answer: the payload, None for silence. To the device itself it is what Broker is."""

    def __init__(self):
        super().__init__()
        self.answer = changed()
        self.fleet_code = 0  # of the fleet's CONNACK
        self.fleet_granted = 1
        self.retained = None  # a payload that comes at the subscription
        self.ends = True  # it closes after its answer
        self.vanishes = False  # it closes in place of an answer
        self.cut_at = None  # one of PACKETS: it closes when that has come, once
        self.asked = []  # (what, body) of each packet of the fleet's
        self._fleets = False

    def sessions(self):
        """The client ids of all CONNECTs, in their order."""
        return [body[12 : 12 + body[11]] for body in self.connects]

    def requests(self):
        """What was asked for."""
        return [broker.read_publish(body)[2] for what, body in self.asked if what == "PUBLISH"]

    async def _answer(self, conn, first, body):
        if first == 0x10:
            self._fleets = body[12:].startswith(b"_???_")
        if not self._fleets or first in (0xC0, 0xE0):
            await super()._answer(conn, first, body)
            return
        what = {0x10: PACKETS[0], 0x82: PACKETS[1], 0x32: PACKETS[2], 0x40: PACKETS[3]}[first]
        self.asked.append((what, body))
        if what == self.cut_at:
            self.cut_at = None
            raise EOFError
        if first == 0x10:
            self.connects.append(body)
            await conn.write(broker.connack(self.fleet_code))
        elif first == 0x82:
            await conn.write(broker.suback(body[0] << 8 | body[1], self.fleet_granted))
            if self.retained:
                kept = bytearray(broker.publish(OWN, self.retained, 8))
                kept[0] |= 1
                await conn.write(kept)
        elif first == 0x32:
            await conn.write(broker.puback(broker.read_publish(body)[1]))
            if self.vanishes:
                raise EOFError
            if self.answer is not None:
                await conn.write(broker.publish(OWN, self.answer, 9))
        elif self.ends and body == b"\0\x09":
            raise EOFError
