"""Addresses as people write them: `mqtts://mqtt.csip.io:8883`, `https://api.csip.io/v3`."""

from firmware.base.characters import characters
from firmware.base.rare import rare

_PORTS = {
    "mqtt": 1883,
    "mqtts": 8883,
    "tcp": 1883,
    "ws": 80,
    "wss": 443,
    "http": 80,
    "https": 443,
}
_PLATFORM = ".csip.io"  # its hosts
_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-._"


@rare
def parse_url(url: str) -> tuple:
    """(scheme, host, port, path) of a URL. The path has no slash at its end, so it may be "".

    Addresses are understood as the platform's documentation writes them, too: `tcp` is mqtt, or
    mqtts where the port is its own, and a WebSocket of the platform is at 8000 if not said.

    Raises ValueError, which says what is wrong without repeating a password from the URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("it has no scheme")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        raise ValueError("its scheme is unknown")
    if "@" in rest:
        raise ValueError("a name or password has no place in it")
    address, slash, path = rest.partition("/")
    host, port = parse_host(address, _PORTS[scheme])
    if scheme == "tcp":
        scheme = "mqtts" if port == _PORTS["mqtts"] else "mqtt"
    elif scheme == "ws" and ":" not in address and host.lower().endswith(_PLATFORM):
        port = 8000
    path = (slash + path).rstrip("/")
    if path and scheme.startswith("mqtt"):
        raise ValueError("it takes no path")
    if not all(0x21 <= c < 0x7F and c not in (0x23, 0x3F) for c in path.encode()):
        raise ValueError("its path has a character that it must not have")
    return scheme, host, port, path


def is_address(host: str) -> bool:
    """Whether it is an IPv4 address, dotted."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


@rare
def parse_host(address: str, default_port: int) -> tuple:
    """(host, port) of `host` or `host:port`. Raises ValueError, which says what is wrong."""
    host, colon, port = address.partition(":")
    # The dot that ends a name in the DNS is in no certificate, nor in SNI (RFC 6066, section 3).
    host = host.rstrip(".")
    if not 0 < len(host) < 254:
        raise ValueError("it has no host")
    if not all(c in _HOST for c in characters(host.lower())):
        raise ValueError("its host has a character that no host has")
    if not colon:
        return host, default_port
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(port)
