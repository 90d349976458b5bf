"""Addresses as people write them: `mqtts://mqtt.csip.io:8883`, `https://api.csip.io/v3`."""

from firmware.base.characters import characters

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "http": 80, "https": 443}
_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-._"


def parse_url(url: str) -> tuple:
    """(scheme, host, port, path) of a URL. The path has no slash at its end, so it may be "".

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
    path = (slash + path).rstrip("/")
    if path and scheme.startswith("mqtt"):
        raise ValueError("it takes no path")
    if not all(0x21 <= c < 0x7F and c not in (0x23, 0x3F) for c in path.encode()):
        raise ValueError("its path has a character that it must not have")
    return scheme, host, port, path


def parse_host(address: str, default_port: int) -> tuple:
    """(host, port) of `host` or `host:port`. Raises ValueError, which says what is wrong."""
    host, colon, port = address.partition(":")
    if not 0 < len(host) < 254:
        raise ValueError("it has no host")
    if not all(c in _HOST for c in characters(host.lower())):
        raise ValueError("its host has a character that no host has")
    if not colon:
        return host, default_port
    if not port.isdigit() or len(port) > 5 or not 0 < int(port) < 65536:
        raise ValueError("its port is not a number from 1 to 65535")
    return host, int(port)
