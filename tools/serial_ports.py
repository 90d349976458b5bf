"""Which serial ports have a board, where the user names none."""

from pathlib import Path

import serial.tools.list_ports

from tools import ToolError


class PortError(ToolError):
    """There is no port to choose; the text says what to do."""


def boards() -> list[str]:
    """The ports that are on USB, as those of boards are, in order."""
    return sorted(port.device for port in serial.tools.list_ports.comports() if port.vid)


def chosen(named: str | None) -> str:
    """The port that the user named, or the only one there is. Raises PortError."""
    if named is not None:
        return named
    found = boards()
    if not found:
        raise PortError("no board was found: plug one in, or name its port, such as /dev/ttyUSB0")
    if len(found) > 1:
        raise PortError(f"there are {len(found)} boards; name one of {', '.join(found)}")
    return found[0]


def split(words: list[str], what: str) -> tuple[str, Path]:
    """(port, path) of the arguments `[PORT] PATH`. Raises PortError."""
    *ports, path = words
    if len(ports) > 1:
        raise PortError(f"expected PORT and {what}, got {len(words)} words")
    if Path(path).is_char_device():
        raise PortError(f"{path} is a port; expected {what} after it")
    return chosen(ports[0] if ports else None), Path(path)
