"""The head of an HTTP answer (RFC 9112): its status, and the headers that are used.

A head may have hundreds of headers, each of which takes far more RAM than its bytes. Only those
that somebody wants are kept.
"""

from micropython import const

from firmware.link import LinkError

_MAX_HEAD = const(4096)


async def read_head(next_line, wanted: tuple, what: str) -> tuple:
    """(status, {name in lower case: value}) of an answer. Raises LinkError.

    next_line(): a coroutine with the next line, without its end. `wanted`: the names of headers to
    keep, in lower case. `what`: what should have answered, for people.
    """
    line = await next_line()
    size = len(line)
    version, status = (line.split(None, 2) + [b"", b""])[:2]
    if not version.startswith(b"HTTP/1.") or len(status) != 3 or not status.isdigit():
        raise LinkError("what answers is no " + what)
    # Connections of the older version end with the answer.
    headers = {"connection": "close"} if version == b"HTTP/1.0" else {}
    while line:
        line = await next_line()
        size += len(line)
        if size > _MAX_HEAD:
            raise LinkError("the answer's head has more than %d bytes" % _MAX_HEAD)
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
