"""A scripted HTTP server on a real socket."""

from firmware.link.http import Http
from peers import HOST, NETWORK, Peer, failure

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = OK + b"Content-Length: 0\r\n\r\n"


class Server:
    """Answers each request with the next of `answers`: bytes, or what to do with a Conn."""

    def __init__(self, *answers, keep=True):
        self.answers = list(answers)
        self.requests = []
        self.keep = keep
        self.peer = Peer(self._script)
        self.url = "http://%s:%d" % (HOST, self.peer.port)

    async def _script(self, conn):
        while self.answers:
            try:
                self.requests.append(await request(conn))
            except EOFError:
                return
            answer = self.answers.pop(0)
            if callable(answer):
                await answer(conn)
            else:
                await conn.write(answer)
            if not self.keep:
                return
        await conn.gone()

    @property
    def connections(self):
        return len(self.peer.conns)


async def request(conn):
    """(request line, {header: value}, body)"""
    lines = (await conn.read_until(b"\r\n\r\n")).split(b"\r\n")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(b": ")
        assert name not in headers, line
        headers[name] = value
    body = b""
    if b"Content-Length" in headers:
        body = await conn.read(int(headers[b"Content-Length"]))
    return lines[0], headers, body


async def get(*answers, **kw):
    """(response, server) of one GET."""
    server = Server(*answers, **kw)
    return await Http(NETWORK).get(server.url + "/", timeout=5), server


async def get_failure(*answers, timeout=5):
    server = Server(*answers, keep=False)
    return str(await failure(Http(NETWORK).get(server.url + "/", timeout=timeout)))
