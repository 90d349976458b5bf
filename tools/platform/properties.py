"""What a property is, and which JSON values it takes. Knows nothing of feeds or transports."""

import hashlib
import json
import math
from dataclasses import dataclass

TYPES = ("number", "boolean", "string", "enum", "object", "waypoint")
ACCESS = ("private", "protected", "public")
PUBLISH = ("always", "changed", "never")

_STRING_BYTES = 1024
_OBJECT_BYTES = 300 * 1024


@dataclass(frozen=True)
class Property:
    """One property of the device, as declared in the control file."""

    name: str
    type: str
    access: str = "protected"
    publish: str = "never"
    min: float | None = None
    max: float | None = None
    values: tuple = ()  # of an enum

    @property
    def id(self) -> str:
        """A stable id in the platform's style, derived from the name."""
        digest = hashlib.sha256(self.name.encode()).digest()
        return f"_prp_{int.from_bytes(digest) % 10**18:018d}"

    def refusal(self, value: object) -> str | None:
        """Why `value` (parsed JSON) cannot be taken, in words; None if it can."""
        try:
            size = len(json.dumps(value, ensure_ascii=False).encode())
        except UnicodeEncodeError:
            return "expected UTF-8 text, got a lone surrogate"
        return getattr(self, f"_{self.type}")(value, size)

    def _number(self, value: object, size: int) -> str | None:
        if not is_number(value):
            return f"expected a number, got {_kind(value)}"
        if self.min is not None and value < self.min:
            return f"outside the boundaries: {value} is below {self.min}"
        if self.max is not None and value > self.max:
            return f"outside the boundaries: {value} is above {self.max}"
        return None

    def _boolean(self, value: object, size: int) -> str | None:
        return None if isinstance(value, bool) else f"expected true or false, got {_kind(value)}"

    def _string(self, value: object, size: int) -> str | None:
        if not isinstance(value, str):
            return f"expected a string, got {_kind(value)}"
        length = len(value.encode())
        return f"expected at most 1 KiB, got {length} bytes" if length > _STRING_BYTES else None

    def _enum(self, value: object, size: int) -> str | None:
        # True == 1 in Python, not in JSON.
        if not isinstance(value, bool) and value in self.values:
            return None
        return f"expected one of {json.dumps(self.values)}, got {json.dumps(value)[:64]}"

    def _object(self, value: object, size: int) -> str | None:
        if not isinstance(value, dict):
            return f"expected an object, got {_kind(value)}"
        return f"expected at most 300 KiB, got {size} bytes" if size > _OBJECT_BYTES else None

    def _waypoint(self, value: object, size: int) -> str | None:
        return location_refusal(value)


def is_number(value: object) -> bool:
    """Whether parsed JSON is a finite number; a boolean is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def location_refusal(value: object) -> str | None:
    """Why `value` is no location `{"zone":…,"geo":{"lat":…,"lon":…,"alt":…}}`; None if it is."""
    if not isinstance(value, dict) or not value or value.keys() - {"zone", "geo"}:
        return 'expected a location, {"zone":…,"geo":{…}}'
    if not isinstance(value.get("zone", ""), str):
        return "expected the location's zone to be a string"
    geo = value.get("geo", {"lat": 0, "lon": 0})
    if not isinstance(geo, dict) or not geo.keys() <= {"lat", "lon", "alt"}:
        return 'expected the location\'s geo to be {"lat":…,"lon":…,"alt":…}'
    if not all(is_number(geo.get(axis)) for axis in {"lat", "lon"} | geo.keys()):
        return "expected numbers for the location's lat, lon and alt"
    if not (-90 <= geo["lat"] <= 90 and -180 <= geo["lon"] <= 180):
        return "expected lat within ±90 and lon within ±180"
    return None


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "one that is too large"
    kinds = {bool: "a boolean", str: "a string", dict: "an object", list: "an array"}
    return kinds.get(type(value), "a number")
