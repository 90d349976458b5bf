"""The heads of HTTP (RFC 9112): the first lines of a question; the status of an answer, and those
of its headers that are used.

A head may have hundreds of headers, each of which takes far more RAM than its bytes. Only those
that somebody wants are kept, and of a line no more than its beginning. What is not kept takes no
memory, but time: the deadline of the exchange is its limit.
"""

from micropython import const

from firmware import VERSION
from firmware.link import LinkError

LONGEST_LINE = const(256)  # bytes that are kept; what is needed is shorter


def question(method: str, path: str, host: str, port: int, tls: bool) -> str:
    """The first lines of a question. The default port does not belong into Host (RFC 9110, section
    7.2), and some front ends refuse who does not say what they are.
    """
    if port != (443 if tls else 80):
        host = "%s:%d" % (host, port)
    text = "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: csipio-thermostat/%s\r\n"
    return text % (method, path or "/", host, VERSION)


async def read_head(next_line, wanted: tuple, what: str) -> tuple:
    """(status, {name in lower case: value}) of an answer. Raises LinkError.

    next_line(): a coroutine with the next line, without its end, of a long one as much as
    LONGEST_LINE. `wanted`: the names of headers to keep, in lower case. `what`: what should have
    answered, for people.
    """
    line = await next_line()
    version, status = (line.split(None, 2) + [b"", b""])[:2]
    if not version.startswith(b"HTTP/1.") or len(status) != 3 or not status.isdigit():
        raise LinkError("what answers is no " + what)
    # Connections of the older version end with the answer.
    headers = {"connection": "close"} if version == b"HTTP/1.0" else {}
    while line:
        line = await next_line()
        key, _, value = line.partition(b":")
        name = _text(key).lower()
        if name in wanted:
            headers[name] = _text(value)
    return int(status), headers


def _text(data: bytes) -> str:
    try:
        return str(data, "utf-8").strip()
    except UnicodeError:
        # RFC 9110, section 5.5: it may be Latin-1, or anything.
        return "".join([chr(byte) for byte in data]).strip()
