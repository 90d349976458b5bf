"""Commands as an application sends them: a client's key, the stand-in's HTTPS API."""

import ssl

import aiohttp


class Client:
    """`info`: the stand-in's."""

    def __init__(self, info: dict):
        self._url = f"{info['api']}/data/devices/{info['device']['id']}"
        key = info["client"]["key_id"], info["client"]["key_secret"]
        self._headers = {"Authorization": aiohttp.encode_basic_auth(*key)}
        self._tls = ssl.create_default_context(cafile=info["ca"])

    async def send(self, prop: str, value: object) -> str:
        """Write one value; what the platform says of it."""
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers) as session,
                session.post(self._url, json={prop: value}, ssl=self._tls) as answer,
            ):
                return f"{prop} → platform: {answer.status} {await answer.text()}"
        except (OSError, aiohttp.ClientError) as error:
            return f"{prop} → platform: {error}"
