"""Data Feed JSON: bytes in, points out. Knows nothing of which properties exist.

A feed that cannot be understood as a whole raises `FeedError`; a point that is wrong by itself
comes back with its `problem`, so that the others of its feed can still be taken.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .properties import location_refusal

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FEED_KEYS = {"dps", "t", "prop", "tags", "loc", "ann"}
_POINT_KEYS = {"t", "tt", "v", "prop", "tags", "loc", "ann"}
_ANNOTATIONS = 10
_ANNOTATION_CHARACTERS = 128


class FeedError(ValueError):
    """The feed as a whole is malformed; the text says what was expected."""


@dataclass
class Point:
    """One value of one property. `prop` is as the sender wrote it: a name, an id, or qualified."""

    prop: str | None
    t_ms: int
    value: object
    problem: str | None = None


def parse_json(body: bytes) -> object:
    """RFC 8259 JSON; what Python takes beyond it (NaN, Infinity) is refused. Raises FeedError."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"expected UTF-8 JSON: {error}") from None


def parse_feed(body: bytes, now_ms: int, prop: str | None = None) -> list[Point]:
    """The points of a Data Feed.

    `now_ms`, UTC, dates points that have no time, `prop` names those that have no property.
    Raises FeedError.
    """
    feed = parse_json(body)
    if not isinstance(feed, dict) or not isinstance(feed.get("dps"), list):
        raise FeedError('expected a Data Feed, {"dps": [...]}')
    problem = _unknown(feed, _FEED_KEYS) or _extras_refusal(feed) or _prop_refusal(feed)
    if problem:
        raise FeedError(problem)
    try:
        base_ms = parse_time(feed["t"]) if "t" in feed else now_ms
    except ValueError as error:
        raise FeedError(f"t: {error}") from None
    return [_point(item, feed.get("prop", prop), base_ms) for item in feed["dps"]]


def parse_time(text: object) -> int:
    """UTC milliseconds since 1970 of an ISO 8601 time with a time zone. Raises ValueError."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError("expected an ISO 8601 time with a time zone, 2017-05-01T14:00:57.467Z")
    return (datetime.fromisoformat(text) - _EPOCH) // _MILLISECOND


def format_time(t_ms: int) -> str:
    """The ISO 8601 text, UTC with milliseconds, of `t_ms` since 1970."""
    moment = _EPOCH + timedelta(milliseconds=t_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _point(item: object, prop: str | None, base_ms: int) -> Point:
    if not isinstance(item, dict):
        return Point(prop, base_ms, None, "expected a data point, an object")
    point = Point(item.get("prop", prop), base_ms, item.get("v"))
    point.problem = _unknown(item, _POINT_KEYS) or _extras_refusal(item) or _prop_refusal(item)
    if point.prop is None:
        point.problem = point.problem or "prop: expected in the point or in its feed"
    if "v" not in item:
        point.problem = point.problem or "v: expected a value"
    offset_ms = item.get("tt", 0)
    if type(offset_ms) is not int:
        point.problem = point.problem or "tt: expected whole milliseconds"
        return point
    try:
        point.t_ms = parse_time(item["t"]) if "t" in item else base_ms + offset_ms
        format_time(point.t_ms)  # a year that ISO 8601 can write
    except (ValueError, OverflowError) as error:
        point.problem = point.problem or f"t: {error}"
    return point


def _unknown(item: dict, keys: set) -> str | None:
    unknown = sorted(item.keys() - keys)
    return f"{unknown[0]}: expected one of {', '.join(sorted(keys))}" if unknown else None


def _prop_refusal(item: dict) -> str | None:
    if isinstance(item.get("prop", ""), str):
        return None
    return "prop: expected the name or id of a property"


def _extras_refusal(item: dict) -> str | None:
    """Why `tags`, `loc` or `ann` are not as documented; they are checked, and not kept."""
    tags = item.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return "tags: expected an array of strings"
    if "loc" in item and (refusal := location_refusal(item["loc"])):
        return f"loc: {refusal}"
    notes = item.get("ann", {})
    if not isinstance(notes, dict) or len(notes) > _ANNOTATIONS:
        return "ann: expected an object of at most 10 annotations"
    if not all(isinstance(n, str) and len(n) <= _ANNOTATION_CHARACTERS for n in notes.values()):
        return "ann: expected strings of at most 128 characters"
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
