"""The HTTPS API under `/v3`, on aiohttp. Every answer to what is HTTP at all has a JSON body."""

import base64
import binascii
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from . import state
from .control import Control, is_key
from .feed import FeedError, Point, format_time, parse_feed, parse_json
from .ingest import CLIENT, DEVICE, Ingest, Receipt, Refused
from .ports import Listener
from .releases import Releases
from .store import Store, now_ms

log = logging.getLogger(__name__)

_BODY_BYTES = 1024 * 1024
_KEY = web.RequestKey("key", str)  # which kind of key a request came with
_DEVICE = web.RequestKey("device", dict)  # which device it is for


class Api:
    """One listener; `start` and `stop` may be called again and again."""

    def __init__(
        self,
        control: Control,
        store: Store,
        ingest: Ingest,
        port: int,
        tls: ssl.SSLContext,
        releases: Releases,
    ):
        self._control = control
        self._store = store
        self._ingest = ingest
        self._port = port
        self._tls = tls
        self._releases = releases
        self._runner: web.AppRunner | None = None
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Listen. Raises OSError."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_BYTES)
        device = "/v3/data/devices/{ref}"
        app.router.add_get(device, self._get_values, allow_head=False)
        app.router.add_get(device + "/state", self._get_state, allow_head=False)
        app.router.add_get(device + "/log", self._get_log, allow_head=False)
        app.router.add_post(device, self._post_values)
        app.router.add_post(device + "/properties", self._post_feed)
        app.router.add_post(device + "/properties/{prop}", self._post_property)
        app.router.add_post(device + "/methods/{name}", self._post_method)
        app.router.add_get("/releases/{name}", self._releases.get, allow_head=False)
        listener = Listener(self._port)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=self._tls).start()
        self._runner, self._listener = runner, listener

    async def stop(self) -> None:
        """Stop listening and cut the connections."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for site in list(runner.sites):
            await site.stop()
        self._listener.cut()
        await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Who asks, and for which device; and every error as JSON."""
        self._control.refresh()
        try:
            key, owner = self._key(request.headers.get("Authorization", ""))
            if key is None:
                return _error(401, "expected basic authentication with a key id and its secret")
            request[_KEY] = key
            if "ref" in request.match_info:
                request[_DEVICE] = self._device(request.match_info["ref"], owner)
            return await handler(request)
        except FeedError as error:
            return _error(400, str(error))
        except Refused as refusal:
            log.info("%s %s: %d %s", request.method, request.path, refusal.status, refusal)
            return _error(refusal.status, str(refusal), refusal.retry_after_s)
        except web.HTTPException as error:
            return _error(error.status, error.reason)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return _error(500, "the platform could not store or read the data")

    def _key(self, header: str) -> tuple[str | None, dict | None]:
        """The kind of the key, None for a wrong one; and the device that it is the key of."""
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return None, None
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return None, None
        if is_key(given, self._control.client):
            return CLIENT, None
        owner = next((d for d in self._control.devices if is_key(given, d)), None)
        return (DEVICE, owner) if owner else (None, None)

    def _device(self, ref: str, owner: dict | None) -> dict:
        """The device of a path. A device's key is for the device itself."""
        device = owner if ref == "_this_" else self._control.find(ref)
        if device is None or owner not in (None, device):
            raise Refused(404, f"no device {ref}")
        return device

    # -- reading

    async def _get_values(self, request: web.Request) -> web.Response:
        return _json(state.values(self._control, self._store, request[_DEVICE], request[_KEY]))

    async def _get_state(self, request: web.Request) -> web.Response:
        parts = {part for part in state.PARTS if request.query.get(part, "true") != "false"}
        device, key = request[_DEVICE], request[_KEY]
        return _json(state.full(self._control, self._store, device, key, parts))

    async def _get_log(self, request: web.Request) -> web.Response:
        rows = self._store.log(request[_DEVICE]["id"])
        return _json({"log": [{"time": format_time(t_ms), "text": text} for t_ms, text in rows]})

    # -- writing

    async def _post_values(self, request: web.Request) -> web.Response:
        self._ingest.admit(request[_DEVICE], request[_KEY])
        values = parse_json(await self._body(request))
        if not isinstance(values, dict):
            raise FeedError('expected an object, {"property1": 23.3, "property2": "text"}')
        now = now_ms()
        return self._write(request, [Point(prop, now, value) for prop, value in values.items()])

    async def _post_feed(self, request: web.Request) -> web.Response:
        self._ingest.admit(request[_DEVICE], request[_KEY])
        return self._write(request, parse_feed(await self._body(request), now_ms()))

    async def _post_property(self, request: web.Request) -> web.Response:
        self._ingest.admit(request[_DEVICE], request[_KEY])
        name = request.match_info["prop"]
        device = request[_DEVICE]
        prop = self._control.property(device, name)
        if prop is None:
            raise Refused(404, f"no property {name}")
        points = parse_feed(await self._body(request), now_ms(), prop.name)
        for point in points:
            if not point.problem and self._control.property(device, point.prop) is not prop:
                point.problem = f"prop: expected {prop.name} or none, as in the path"
        return self._write(request, points)

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()
        self._ingest.overhear(request[_DEVICE], request[_KEY], "https", body)
        return body

    def _write(self, request: web.Request, points: list[Point]) -> web.Response:
        receipt: Receipt = self._ingest.write(request[_DEVICE], points, request[_KEY], "https")
        return _json({"accepted": receipt.accepted, "rejected": receipt.rejected})

    async def _post_method(self, request: web.Request) -> web.Response:
        raise Refused(404, f"no method {request.match_info['name']}")


def _json(body: object) -> web.Response:
    return web.json_response(body, dumps=lambda tree: json.dumps(tree, ensure_ascii=False))


def _error(status: int, reason: str, retry_after_s: int | None = None) -> web.Response:
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="csipio", charset="UTF-8"'
    body = {"status": status, "error": HTTPStatus(status).phrase, "message": reason}
    return web.json_response(body, status=status, headers=headers)
