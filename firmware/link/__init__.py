"""The way to the platform: TCP and TLS streams, MQTT, HTTPS, and which of them carries the feeds.

This room knows the queue of points and the door for commands, and neither sensors nor relay.
"""

from micropython import const

_JOINED = const(512)  # bytes of one write


class LinkError(Exception):
    """Something between here and the platform failed; the text says what, and what to do.
    `refused`: the platform does not accept the credentials, so trying again soon is no use.
    """

    def __init__(self, text: str, refused: bool = False):
        super().__init__(text)
        self.refused = refused


async def send(stream, data, head=b""):
    """Write all of `data`: bytes, or a feed, each piece of it made when the last one is out.

    `head`: goes before a feed, in one write if both are small: the second of two small writes
    waits for the acknowledgement of the first (RFC 896). Raises LinkError where a feed's points
    are gone: nothing can follow it on this connection.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        await stream.write(data)
        return
    left = len(data)
    for piece in data:
        left -= len(piece)
        if left >= 0:
            if head:
                try:
                    joined = len(head) + len(piece) <= _JOINED and head + bytes(piece)
                except MemoryError:  # no block of that size is free
                    joined = None
                if joined:
                    piece = joined
                else:
                    await stream.write(head)
                head = b""
            await stream.write(piece)
    if left:
        raise LinkError("the buffer overran a feed that was being sent")
