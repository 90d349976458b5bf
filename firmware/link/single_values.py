"""Single values that do not wait for a feed: one property's raw value, or the call of a method.

The platform gives such a value the time at which it arrives. So a value that cannot go at once, or
is not acknowledged, goes into the queue instead, as a point with the millisecond at which it was
offered.
"""

import json

from micropython import const

from firmware.base import uptime
from firmware.base.log import Log
from firmware.link import LinkError
from firmware.link.https_api import parsed
from firmware.points.json_text import value_text
from firmware.points.ring import MAX_TEXT

_MOST = const(8)  # on their way
_FRESH_MS = const(2000)  # later than this its time of arrival would be a false time

_VALUE = b"csipio/data/out/devices/%s/properties/%s"
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$"
_CALL = b"csipio/data/out/devices/%s/methods/json"

# A value on its way is a list of these.
_PID = const(0)  # its packet id; None before it was sent
_SINCE_MS = const(1)  # when it was sent, or offered before that
_INDEX = const(2)
_RAW = const(3)
_UTC_MS = const(4)
_NAME = const(5)
_METHOD = const(6)
_JSON = const(7)


class SingleValues:
    """Values on their way, in the order in which they were offered; `len` tells how many."""

    def __init__(self, sensors: list, device: dict, queue, clock):
        """`sensors`: as in config.json; only those whose `send` is not "feed" are served.
        `device`: its `id` is read whenever something is sent.
        """
        self._queue = queue
        self._clock = clock
        self._device = device
        self._entries = []
        self._sensors = {}
        for sensor in sensors:
            if sensor["send"] != "feed":
                # A method has the property's name, if it has no other one.
                method = sensor["method"] or sensor["prop"] if sensor["send"] == "method" else None
                self._sensors[sensor["prop"]] = method

    def __len__(self) -> int:
        return len(self._entries)

    def offer(self, index: int, name: str, value) -> bool:
        """Take a value on its way; False if there is no room, or it cannot go this way."""
        if name not in self._sensors or len(self._entries) >= _MOST:
            return False
        method = self._sensors[name]
        try:
            data = value_text(value, self._queue.properties.decimals[index])
            if len(data) > MAX_TEXT:
                return False
            entry = [None, uptime.ms(), index, value, self._clock.now(), name, method, data]
            self._entries.append(entry)
        except (ValueError, MemoryError):
            return False  # whoever buffers it instead will say why, and count it
        return True

    def publish(self, session, next_pid, now: int):
        """Write the values that were not sent yet."""
        if self._stale(now):
            self.release()
        for entry in self._entries:
            if entry[_PID] is None:
                device_id, data = self._device["id"].encode(), entry[_JSON]
                topic = _VALUE % (device_id, entry[_NAME].lower().encode())
                if entry[_METHOD]:
                    topic = _CALL % device_id
                    call = json.dumps(entry[_METHOD]).encode()
                    data = b'{"dps":[{"method":%s,"value":%s}]}' % (call, data)
                pid = next_pid()
                entry[_PID] = pid
                entry[_SINCE_MS] = now
                session.publish(topic, data, pid)

    def holds(self, pid: int) -> bool:
        """Is this packet id one of those in flight?"""
        return any(entry[_PID] == pid for entry in self._entries)

    def acknowledge(self, pid: int):
        """The broker acknowledged this packet id. Returns when that value was sent; None: it is
        none's.
        """
        for entry in self._entries:
            if entry[_PID] == pid:
                self._entries.remove(entry)
                return entry[_SINCE_MS]
        return None

    def sent(self) -> list:
        """When each of those was sent that are in flight."""
        return [entry[_SINCE_MS] for entry in self._entries if entry[_PID] is not None]

    async def post(self, api) -> bool:
        """Send all of them over HTTPS. Raises LinkError where the credentials were refused.

        False: one was not taken; it and those behind it are in the queue now.
        """
        try:
            while self._entries and not self._stale(uptime.ms()):
                entry = self._entries[0]
                value = json.loads(entry[_JSON])  # with the property's decimals
                if entry[_METHOD]:
                    await call_method(api, entry[_METHOD], value)
                else:
                    await write_value(api, entry[_NAME], value)
                if entry in self._entries:
                    self._entries.remove(entry)
            return True
        except LinkError as error:
            if error.refused:
                raise
            Log("single_values").warning("%s goes in a feed: %s", entry[_NAME], error)
            return False
        finally:
            self.release()

    def release(self, index=None):
        """None of them will be acknowledged any more: they go into the queue. `index`: only that
        property's do.
        """
        for entry in list(self._entries):
            if index is not None and entry[_INDEX] != index:
                continue
            try:
                self._queue.put(entry[_INDEX], entry[_RAW], entry[_UTC_MS])
            except Exception as error:  # the queue has counted it
                Log("single_values").error("a reading of %s is lost: %s", entry[_NAME], error)
            self._entries.remove(entry)

    def _stale(self, now: int) -> bool:
        """Has one waited for too long to be sent?"""
        return any(e[_PID] is None and now - e[_SINCE_MS] > _FRESH_MS for e in self._entries)


async def write_value(api, name: str, value):
    """Write one property's raw value over HTTPS, by an https_api.Api. One that the platform
    rejects is counted. Raises LinkError where it did not arrive.
    """
    answer = await api.post("", json.dumps({name: value}), True)
    api.check(answer)
    api.take_receipt(answer, 1)


async def call_method(api, name: str, value):
    """Call a method of the device's on the platform, likewise."""
    # A segment of a path: RFC 3986, section 2.1.
    quoted = "".join([chr(c) if c in _PLAIN else "%%%02X" % c for c in name.encode()])
    answer = await api.post("/methods/" + quoted, json.dumps({"value": value}), True)
    api.check(answer)
    if "result" not in parsed(answer):
        raise LinkError("the API's answer is no result of a method")
