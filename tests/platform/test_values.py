"""Types, times and attributes: the rules alone, without a transport."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.platform.feed import FeedError, format_time, parse_feed, parse_json, parse_time
from tools.platform.properties import Property

NOW_MS = 1_700_000_000_000
T = "2017-05-01T14:00:57.467Z"
T_MS = 1493647257467


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        ({"type": "number"}, [0, -1.5, 10**30, 1e300], [True, "1", None, [], {}, float("inf")]),
        ({"type": "number", "min": 5, "max": 35}, [5, 35, 20.5], [4.999, 35.001]),
        ({"type": "boolean"}, [True, False], [0, 1, "true", None]),
        (
            {"type": "string"},
            ["", "°C", "x" * 1024, "€" * 341],
            [1, "x" * 1025, "€" * 342, "\ud800"],
        ),
        ({"type": "enum", "values": ("off", 1)}, ["off", 1], ["on", True, 2, None, [], {}]),
        (
            {"type": "object"},
            [{}, {"a": [1]}, {"a": "x" * 307_000}],
            [[], "{}", {"a": "x" * 307_200}],
        ),
        ({"type": "object"}, [], [{"a": "\udfff"}]),
        (
            {"type": "waypoint"},
            [
                {"zone": "a"},
                {"geo": {"lat": 1, "lon": -180}},
                {"geo": {"lat": 1, "lon": 2, "alt": 3}},
            ],
            [
                {},
                "here",
                {"geo": {"lat": 1}},
                {"geo": {"lat": 91, "lon": 0}},
                {"zone": 5},
                {"x": 1},
            ],
        ),
    ],
)
def test_what_a_property_takes(spec, good, bad):
    prop = Property("p", **spec)
    assert [prop.refusal(value) for value in good] == [None] * len(good)
    assert [value for value in bad if prop.refusal(value) is None] == []


@pytest.mark.parametrize(
    ("text", "t_ms"),
    [
        (T, T_MS),
        ("2017-05-01T14:00:57Z", T_MS - 467),
        ("2017-05-01T14:00:57.4Z", T_MS - 67),
        ("2017-05-01T14:00:57.467999Z", T_MS),
        ("2017-05-01T16:30:57.467+02:30", T_MS),
        ("2017-05-01T09:00:57.467-0500", T_MS),
        ("1970-01-01T00:00:00.001Z", 1),
    ],
)
def test_time(text, t_ms):
    assert parse_time(text) == t_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        5,
        None,
        "2017-05-01",
        "2017-05-01T14:00:57",
        "2017-05-01 14:00:57Z",
        "2017-02-30T14:00:57Z",
        "2017-05-01T25:00:57Z",
        "2017-05-01T14:00:57.Z",
        T + "\n",
    ],
)
def test_time_that_is_none(text):
    with pytest.raises(ValueError):
        parse_time(text)


@settings(deadline=None)
@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_every_time_that_is_written_is_read_back(t_ms):
    assert parse_time(format_time(t_ms)) == t_ms


@pytest.mark.parametrize(
    ("feed", "point", "t_ms"),
    [
        ({}, {}, NOW_MS),
        ({}, {"tt": -5}, NOW_MS - 5),
        ({"t": T}, {}, T_MS),
        ({"t": T}, {"tt": 0}, T_MS),
        ({"t": T}, {"tt": 70}, T_MS + 70),
        ({"t": T}, {"t": "1970-01-01T00:00:01Z"}, 1000),
        ({"t": T}, {"t": "1970-01-01T00:00:01Z", "tt": 70}, 1000),
    ],
)
def test_time_of_a_point(feed, point, t_ms):
    body = json.dumps({**feed, "prop": "p", "dps": [{"v": 1, **point}]}).encode()
    (parsed,) = parse_feed(body, NOW_MS)
    assert (parsed.t_ms, parsed.prop, parsed.value, parsed.problem) == (t_ms, "p", 1, None)


@pytest.mark.parametrize(
    "attributes",
    [
        {"tags": ["a"], "loc": {"zone": "hall", "geo": {"lat": 1, "lon": 2, "alt": 3.5}}},
        {"ann": {str(n): "x" * 128 for n in range(10)}},
    ],
)
def test_attributes_that_are_tolerated_at_both_levels(attributes):
    body = json.dumps({**attributes, "dps": [{"v": 1, "prop": "p", **attributes}]}).encode()
    assert parse_feed(body, NOW_MS)[0].problem is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"tags": "a"},
        {"tags": [1]},
        {"loc": "hall"},
        {"loc": {"geo": {"lat": "1", "lon": 2}}},
        {"ann": ["x"]},
        {"ann": {"a": 1}},
        {"ann": {"a": "x" * 129}},
        {"ann": {str(n): "x" for n in range(11)}},
        {"colour": "red"},
    ],
)
def test_attributes_that_are_wrong(attributes):
    """At a point they cost the point, at the feed the feed."""
    points = [{"v": 1, "prop": "p", **attributes}, {"v": 2, "prop": "p"}]
    parsed = parse_feed(json.dumps({"dps": points}).encode(), NOW_MS)
    assert [point.problem is None for point in parsed] == [False, True]
    with pytest.raises(FeedError):
        parse_feed(json.dumps({"dps": points[1:], **attributes}).encode(), NOW_MS)


@pytest.mark.parametrize("tt", [1.5, "5", None, True, 10**30])
def test_wrong_offset_costs_the_point(tt):
    body = json.dumps({"dps": [{"v": 1, "prop": "p", "tt": tt}]}).encode()
    assert parse_feed(body, NOW_MS)[0].problem


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_a_feed_or_a_feed_error(body):
    with contextlib.suppress(FeedError):
        parse_feed(body, NOW_MS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def _some(*names):
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


# Its first inputs are slow to make where other tests keep the machine busy.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    _some("t", "prop", "tags", "loc", "ann"), st.lists(_some("t", "tt", "v", "prop"), max_size=3)
)
def test_any_json_is_a_feed_or_a_feed_error(feed, items):
    try:
        points = parse_feed(json.dumps({**feed, "dps": items}).encode(), NOW_MS)
    except FeedError:
        return
    assert len(points) == len(items)
    for point in points:
        assert point.problem or isinstance(point.prop, str)


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"", b"{", b"\xff", b"1" * 5000, b"'a'"])
def test_what_is_not_json(text):
    with pytest.raises(FeedError):
        parse_json(text)
