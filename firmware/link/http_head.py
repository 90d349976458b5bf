"""The head of an HTTP answer (RFC 9112), line by line: its status, and the headers that are used.

A head may have hundreds of headers, each of which takes far more RAM than its bytes. Only those
that somebody wants are kept.
"""

from firmware.link import LinkError


class Head:
    """The status and the headers, once `add` has had every line."""

    def __init__(self, wanted: tuple, what: str):
        """`wanted`: names of headers, in lower case. `what`: what else would answer, for people:
        "HTTP server; is https.url right?".
        """
        self._wanted = wanted
        self._what = what
        self.status = 0
        self.headers = {}  # by names in lower case

    def add(self, line: bytes) -> bool:
        """Take the next line, without its end; True when it was the last. Raises LinkError."""
        if not self.status:
            version, status = (line.split(None, 2) + [b"", b""])[:2]
            if not version.startswith(b"HTTP/1.") or len(status) != 3 or not status.isdigit():
                raise LinkError("what answers is no " + self._what)
            self.status = int(status)
            if version == b"HTTP/1.0":
                # Connections of the older version end with the answer.
                self.headers["connection"] = "close"
            return False
        key, _, value = line.partition(b":")
        name = _text(key).lower()
        if name in self._wanted:
            self.headers[name] = _text(value)
        return not line


def _text(data: bytes) -> str:
    try:
        return str(data, "utf-8").strip()
    except UnicodeError:
        # RFC 9110, section 5.5: it may be Latin-1, or anything.
        return "".join([chr(byte) for byte in data]).strip()
