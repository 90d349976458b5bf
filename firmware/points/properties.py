"""What points are points of: the device's properties, by their index in the ring's kinds.

A device has some forty of them. They are columns, for an object each would take 100 bytes.
"""

from micropython import const

from firmware.points.ring import MAX_PROPERTIES

NONE = const(255)  # no index


class Properties:
    """Names on the platform, of at most 64 ASCII characters, and the decimals of their numbers."""

    def __init__(self, columns: list):
        """`columns`: (name, decimals) of each."""
        self.names = [name for name, _ in columns]
        self.decimals = bytearray([decimals for _, decimals in columns])

    def found(self, name: str, decimals: int) -> int:
        """Where the property of that name is. One that is not known, as the config no longer has
        it, is added for the readings on flash; NONE if it can't be.
        """
        if name in self.names:
            return self.names.index(name)
        if len(self.names) == MAX_PROPERTIES:
            return NONE
        self.names.append(name)
        self.decimals.append(decimals)
        return len(self.names) - 1
