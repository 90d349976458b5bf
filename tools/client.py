"""The platform's HTTPS API as a person or an application uses it, with a client key."""

import base64
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tools import ToolError

API = "https://api.csip.io/v3"
SECRET = "CSIPIO_CLIENT_SECRET"
"""The environment variable with the secret of the client key."""

_TIMEOUT_S = 30
_REF = re.compile(r"[A-Za-z0-9_.~-]{1,128}")
_BUSY_S = 10  # where a 429 does not say how long


class ClientError(ToolError):
    """The platform refuses; to ask again would not help."""


class KeyRefusedError(ClientError):
    """The platform does not know the client key."""


class AwayError(ClientError):
    """The platform cannot be reached, or has a fault of its own: it may be well later."""


class BusyError(AwayError):
    """The limit of requests is reached."""

    def __init__(self, text: str, after_s: float):
        super().__init__(text)
        self.after_s = after_s


class Client:
    """One client key at one API."""

    def __init__(self, api: str, key_id: str, secret: str, ca: Path | None = None):
        """ca: the certificates to trust in place of the system's. Raises ClientError."""
        parts = urllib.parse.urlsplit(api)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.username:
            raise ClientError(f"--api {api}: expected the address of an API, such as {API}")
        self.api = api.rstrip("/")
        try:
            self._tls = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise ClientError(f"--ca {ca}: expected certificates (PEM): {error}") from None
        token = base64.b64encode(f"{key_id}:{secret}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}

    def releases(self, name: str) -> str:
        """The address of a release that the API's own host serves."""
        parts = urllib.parse.urlsplit(self.api)
        return f"https://{parts.netloc}/releases/{urllib.parse.quote(name)}"

    def read(self, device: str) -> dict[str, tuple[object, str]]:
        """`(value, time)` of every property that was written, by name. Raises ClientError."""
        answer = self._ask("GET", device, "/state?header=false&stats=false")
        try:
            return {
                entry["meta"]["name"].lower(): (
                    entry["value"]["mostRecent"],
                    entry["value"]["time"],
                )
                for entry in answer["properties"]
                if "value" in entry
            }
        except (LookupError, TypeError, AttributeError):
            raise ClientError(f"{self.api}: its answer is not the state of a device") from None

    def write(self, device: str, prop: str, value: object) -> None:
        """Write one property. Raises ClientError, also when the platform does not take it."""
        answer = self._ask("POST", device, "", {prop: value})
        if not isinstance(answer, dict) or answer.get("accepted") != 1:
            raise ClientError(
                f"{device}: the platform does not take the property `{prop}`: it must be public, "
                "of the type object, with publish `always` (`csipio properties` prints them all)"
            )

    def _ask(self, method: str, device: str, path: str, body: object = None) -> object:
        if not _REF.fullmatch(device):
            raise ClientError(f"{device!r}: expected the id or the name of a device")
        request = urllib.request.Request(
            f"{self.api}/data/devices/{device}{path}",
            None if body is None else json.dumps(body).encode(),
            self._headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(device, error) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise ClientError(
                    f"{self.api}: its certificate is not trusted "
                    f"({error.reason.verify_message}): --ca names other certificates"
                ) from None
            raise AwayError(f"{self.api}: cannot be reached: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise AwayError(f"{self.api}: cannot be reached: {error}") from None
        except ValueError:
            raise ClientError(f"{self.api}: the answer is no JSON") from None

    def _refused(self, device: str, error: urllib.error.HTTPError) -> ClientError:
        try:
            said = str(json.load(error)["message"])
        except (OSError, ValueError, LookupError, TypeError):
            said = error.reason
        if error.code == 429:
            after = error.headers.get("Retry-After", "")
            return BusyError(f"{self.api}: {said}", float(after) if after.isdigit() else _BUSY_S)
        if error.code >= 500:
            return AwayError(f"{self.api}: {error.code}: {said}")
        if error.code == 401:
            return KeyRefusedError(
                f"{self.api}: the client key is refused: check --client-key and its secret"
            )
        return ClientError(f"{device}: {error.code}: {said}")


def secret(ask) -> str:
    """The secret of the client key: from the environment, else what `ask()` gives."""
    return os.environ.get(SECRET) or ask()
