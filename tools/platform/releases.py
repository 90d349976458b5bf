"""The releases that the stand-in serves, `GET /releases/{name}`; and what can go wrong with one.

A request may have one range (RFC 9110, section 14): it is answered with 206, or with 416 where
it lies behind the end. `If-Range` with another ETag gets the whole file. More ranges than one,
and other units than bytes, get the whole file, too.
"""

import asyncio
import contextlib
import hashlib
import re
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aiohttp import web

from tools import ToolError

from .ingest import Refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 1024  # of a slow answer
_LOOK_EVERY_S = 0.02  # whether a client has given up


@dataclass(frozen=True)
class Fault:
    """What happens to one request for a release.

    - cut: the connection ends after `number` bytes of the body
    - status: the answer is the status `number`
    - whole: the whole file is the answer, with 200, whatever the range
    - other: the answer has, with its own ETag, the bytes of another file of the same size
    - slow: `number` seconds before each KiB
    - stalled: after `number` bytes nothing comes, for as long as the client waits
    - none: nothing goes wrong, so that faults meet later requests
    """

    kind: Literal["cut", "status", "whole", "other", "slow", "stalled", "none"]
    number: float = 0


_NONE = Fault("none")


class Releases:
    """The files of a folder; without one there are none. Raises ToolError for a file."""

    def __init__(self, folder: Path | None):
        if folder is not None and not folder.is_dir():
            raise ToolError(f"{folder}: expected a folder for --releases")
        self._folder = folder
        self.faults: deque[Fault] = deque()  # one for each request, from the first one on
        self.asked: list[tuple[str, str, int]] = []  # name, header Range, status

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Raises Refused for what there is not."""
        name = request.match_info["name"]
        wanted = request.headers.get("Range", "")
        fault = self.faults.popleft() if self.faults else _NONE
        try:
            if fault.kind == "status":
                raise Refused(int(fault.number), "a fault that a test has asked for")
            body = self._body(name)
            if fault.kind == "other":
                body = bytes(byte ^ 0xFF for byte in body)
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found = _RANGE.fullmatch(wanted) if fault.kind != "whole" else None
            if wanted == "bytes=-" or request.headers.get("If-Range", etag) != etag:
                found = None
            first, end = _part(found, len(body)) if found else (0, len(body))
        except Refused as refusal:
            self.asked.append((name, wanted, refusal.status))
            raise
        answer = web.StreamResponse(status=206 if found else 200)
        answer.headers["ETag"] = etag
        answer.headers["Accept-Ranges"] = "bytes"
        answer.content_type = "application/octet-stream"
        answer.content_length = end - first
        if found:
            answer.headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(body)}"
        self.asked.append((name, wanted, answer.status))
        with contextlib.suppress(ConnectionError):  # the client may end it as it likes
            await _send(request, answer, body[first:end], fault)
        return answer

    def _body(self, name: str) -> bytes:
        path = self._folder / name if self._folder and _NAME.fullmatch(name) else None
        if path is None or not path.is_file():
            raise Refused(404, f"no release {name}")
        return path.read_bytes()


def _part(found: re.Match, size: int) -> tuple[int, int]:
    """The first byte of a range, and the one after its last. Raises Refused with 416."""
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
    if start >= end:
        raise Refused(416, f"the range {found[0]} is not within {size} bytes")
    return start, end


async def _send(
    request: web.Request, answer: web.StreamResponse, body: bytes, fault: Fault
) -> None:
    await answer.prepare(request)
    if fault.kind == "slow":
        for at in range(0, len(body), _CHUNK):
            await asyncio.sleep(fault.number)
            await answer.write(body[at : at + _CHUNK])
    elif fault.kind in ("cut", "stalled") and fault.number < len(body):
        await answer.write(body[: int(fault.number)])
        if fault.kind == "stalled":
            while request.transport is not None:  # noqa: ASYNC110, nothing tells of its end
                await asyncio.sleep(_LOOK_EVERY_S)
        elif request.transport is not None:
            request.transport.close()  # after what it has been given
        return
    else:
        await answer.write(body)
    await answer.write_eof()
