"""The HTTPS API, through curl."""

import json
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection

import pytest

from tests.platform.clients import feed

T = "2017-05-01T14:00:57.467Z"
T_MS = 1493647257467
DEVICE = "/data/devices/_this_"
FEED = DEVICE + "/properties"


def accepted(answer):
    assert answer.status == 200
    return answer.body["accepted"], answer.body["rejected"]


# -- writing


def test_feed_with_its_receipt(platform, api):
    body = feed(
        {"t": T, "v": 15.45, "prop": "temperature"},
        {"t": T, "v": 45, "prop": "thermostat$humidity"},
        {"t": T, "v": 1, "prop": "nosuch"},
        {"t": T, "v": 1, "prop": "other$humidity"},
        {"t": T, "v": "warm", "prop": "temperature"},
        {"t": T, "v": True, "prop": "counter"},
        {"t": T, "v": -55.1, "prop": "temperature"},
        {"t": T, "prop": "counter"},
        {"t": "2017-05-01T14:00:57", "v": 1, "prop": "counter"},
        {"t": T, "v": 1},
        {"t": T, "v": 1, "prop": 5},
        {"t": T, "v": 1, "prop": "counter", "extra": 1},
        5,
    )
    assert accepted(api.post(FEED, body)) == (2, 11)
    assert platform.points() == [("humidity", T_MS, 45), ("temperature", T_MS, 15.45)]
    assert {(w["transport"], w["key"]) for w in platform.writes()} == {("https", "device")}
    assert len(platform.log()) == 11


def test_the_documents_two_equal_feeds(platform, api):
    plain = feed(
        {"t": "2017-05-01T14:00:37.575Z", "v": 23.45, "prop": "temperature"},
        {"t": "2017-05-01T14:00:37.645Z", "v": 23.65, "prop": "temperature"},
    )
    compact = (
        '{"t":"2017-05-01T14:00:37.645Z","prop":"temperature",'
        '"dps":[{"tt":-70,"v":23.45},{"v":23.65}]}'
    )
    assert accepted(api.post(FEED, plain)) == (2, 0)
    stored = platform.points()
    assert [t_ms for _, t_ms, _ in stored] == [1493647237575, 1493647237645]
    assert accepted(api.post(FEED, compact)) == (2, 0)
    assert platform.points() == stored
    assert len(platform.writes()) == 4


def test_same_property_and_millisecond_overwrites(platform, api):
    for value in (1, 2):
        api.post(FEED, feed({"t": T, "v": value, "prop": "counter"}))
    api.post(FEED, feed({"t": T, "v": 3, "prop": "humidity"}))
    assert platform.points("counter") == [("counter", T_MS, 2)]
    assert [w["value"] for w in platform.writes()] == [1, 2, 3]


def test_one_property(platform, api):
    path = FEED + "/temperature"
    assert accepted(api.post(path, feed({"tt": -1, "v": 1}, {"v": 2}, t=T))) == (2, 0)
    other = feed({"t": T, "v": 5, "prop": "humidity"}, {"v": 6, "prop": "temperature"}, t=T)
    assert accepted(api.post(path, other)) == (1, 1)
    assert accepted(api.post(FEED + "/thermostat$Temperature", feed({"v": 7}, t=T))) == (1, 0)
    assert platform.points() == [("temperature", T_MS - 1, 1), ("temperature", T_MS, 7)]


def test_plain_object_gets_the_servers_time(platform, api):
    before = time.time_ns() // 1_000_000
    values = {"temperature": 23.3, "firmware": "1.0 °C", "relay": True, "nosuch": 1}
    assert accepted(api.post("/data/devices/{id}", values)) == (3, 1)
    points = platform.points()
    assert {prop: value for prop, _, value in points} == {
        "temperature": 23.3,
        "firmware": "1.0 °C",
        "relay": True,
    }
    assert all(before <= t_ms <= time.time_ns() // 1_000_000 for _, t_ms, _ in points)


def test_property_by_its_id(platform, api):
    entry = api.get(DEVICE + "/state").body["properties"][0]
    point = {"t": T, "v": 9, "prop": entry["ref"]["id"]}
    assert accepted(api.post(FEED, feed(point))) == (1, 0)
    assert platform.points() == [(entry["meta"]["name"], T_MS, 9)]


# -- errors


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (FEED, ""),
        (FEED, "not JSON"),
        (FEED, "[]"),
        (FEED, '{"temperature": 1}'),
        (FEED, '{"dps": {}}'),
        (FEED, '{"dps": [], "t": "2017-05-01"}'),
        (FEED, '{"dps": [], "prop": 5}'),
        (FEED, '{"dps": [], "device": "x"}'),
        (FEED, '{"dps": [], "tags": "x"}'),
        (FEED, '{"dps": [{"v": Infinity, "prop": "counter"}]}'),
        (FEED, "[" * 100_000),
        (FEED + "/temperature", "5"),
        (DEVICE, "[1]"),
        (DEVICE, '{"counter": 1'),
    ],
    ids=range(14),
)
def test_malformed_body_is_400(platform, api, path, body):
    answer = api.post(path, body)
    assert answer.status == 400
    assert answer.body["message"].startswith(("expected", "t:", "prop:", "device:", "tags:"))
    assert platform.writes() == []


def test_who_may_ask(platform, info, api):
    key = info["device"]["key_id"]
    for wrong in (None, f"{key}:wrong", f"_key_1:{info['device']['key_secret']}", ":"):
        answer = api.request("GET", DEVICE, key=wrong)
        assert (answer.status, answer.body["error"]) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"].startswith("basic")
    for header in ("Bearer x", "Basic", "Basic ÄÖ", "Basic eA=="):
        answer = api.request("GET", DEVICE, None, None, "-H", f"Authorization: {header}")
        assert answer.status == 401
    assert api.post(DEVICE, {"counter": 1}, f"{key}:wrong").status == 401
    assert platform.writes() == []


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/data/devices/_dev_571692235317590466", "device"),
        ("POST", "/data/devices/_dev_571692235317590466/properties", "device"),
        ("GET", DEVICE, "client"),  # a client is no device
        ("POST", FEED + "/nosuch", "device"),
        ("POST", FEED + "/other$temperature", "device"),
        ("POST", DEVICE + "/methods/reboot", "device"),
        ("GET", "/data/devices", "device"),
        ("GET", "/", "client"),
    ],
)
def test_what_is_not_there_is_404(api, method, path, key):
    answer = api.request(method, path, '{"dps": []}' if method == "POST" else None, key)
    assert (answer.status, answer.body["status"], answer.body["error"]) == (404, 404, "Not Found")


def test_wrong_method_is_405(api):
    assert api.request("DELETE", DEVICE).status == 405


def test_too_many_points_or_bytes_is_413(platform, api):
    platform.control(lambda tree: tree["limits"].update(maxNrOfDpPerFeed=3))
    points = [{"tt": n, "v": n} for n in range(4)]
    answer = api.post(FEED + "/counter", feed(*points, t=T))
    assert (answer.status, answer.body["message"]) == (413, "4 points in one feed, more than 3")
    assert api.post(DEVICE, dict.fromkeys("abcd", 1)).status == 413
    assert api.post(FEED, " " * (1024 * 1024 + 1)).status == 413
    assert platform.writes() == []
    assert accepted(api.post(FEED + "/counter", feed(*points[:3], t=T))) == (3, 0)


def test_too_many_feeds_is_429_for_that_key_alone(platform, api):
    platform.control(lambda tree: tree["limits"].update(rateLimit=2))
    body = feed({"v": 20, "prop": "setpoint"})
    assert [api.post(FEED, body).status for _ in range(3)] == [200, 200, 429]
    answer = api.post(FEED, body)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert answer.body["message"] == "more than 2 feeds per minute"
    assert api.post("/data/devices/{id}/properties", body, "client").status == 200
    assert api.get(DEVICE).status == 200
    platform.control(lambda tree: tree["limits"].update(rateLimit=3))
    assert api.post(FEED, body).status == 200


def test_disabled_device_is_403_and_may_read(platform, api):
    platform.control(lambda tree: tree["device"].update(status="disabled"))
    assert api.post(DEVICE, {"counter": 1}).status == 403
    assert platform.writes() == []
    assert api.get(DEVICE).status == 200


def test_certificate_is_verified(info):
    with pytest.raises(urllib.error.URLError) as failure:
        urllib.request.urlopen(info["api"], context=ssl.create_default_context())
    assert isinstance(failure.value.reason, ssl.SSLCertVerificationError)


# -- reading


def test_most_recent_values_are_those_with_the_latest_time(api):
    assert api.get(DEVICE).body == {}
    later = {"t": "2017-05-01T14:00:58Z", "v": 2, "prop": "counter"}
    api.post(
        FEED, feed(later, {"t": T, "v": 1, "prop": "counter"}, {"t": T, "v": 3, "prop": "rssi"})
    )
    assert api.get("/data/devices/{id}").body == {"counter": 2, "rssi": 3}


def test_state_has_times_and_leaves_parts_out(api):
    api.post(FEED, feed({"t": "2017-05-01T16:00:57.4678+02:00", "v": 21.5, "prop": "setpoint"}))
    state = api.get(DEVICE + "/state").body
    assert state["header"]["ingestion"] == {"rateLimit": 60, "maxNrOfDpPerFeed": 100}
    assert (state["methods"], state["alerts"]) == ([], [])
    entries = {entry["ref"]["qname"]: entry for entry in state["properties"]}
    setpoint = entries["thermostat$setpoint"]
    assert setpoint["value"] == {"mostRecent": 21.5, "time": T}
    assert setpoint["stats"] == {"count": 1}
    assert setpoint["meta"] == {
        "name": "setpoint",
        "type": "number",
        "access": "public",
        "publish": "always",
        "min": 5,
        "max": 35,
    }
    assert entries["thermostat$mode"]["meta"]["values"] == ["off", "heat", "cool", "auto"]
    assert "value" not in entries["thermostat$mode"]
    bare = api.get(DEVICE + "/state?header=false&meta=false&stats=false").body
    assert bare.keys() == {"properties", "methods", "alerts"}
    assert {key for entry in bare["properties"] for key in entry} == {"ref", "value"}
    assert "meta" in api.get(DEVICE + "/state?stats=false&meta=true").body["properties"][0]


def test_access(platform, api):
    def change(tree):
        tree["properties"]["rssi"]["access"] = "private"

    platform.control(change)
    api.post(DEVICE, {"rssi": -70, "temperature": 20, "setpoint": 20})
    assert api.get("/data/devices/{id}", "client").body == {"temperature": 20, "setpoint": 20}
    names = {
        p["meta"]["name"] for p in api.get("/data/devices/{id}/state", "client").body["properties"]
    }
    assert "temperature" in names
    assert "rssi" not in names
    written = api.post(
        "/data/devices/{id}", {"rssi": 1, "temperature": 1, "setpoint": 21}, "client"
    )
    assert accepted(written) == (1, 2)
    assert api.get(DEVICE).body == {"rssi": -70, "temperature": 20, "setpoint": 21}


def test_store_that_cannot_be_written_is_500(platform, api, tmp_path):
    lock = sqlite3.connect(tmp_path / "platform/platform.sqlite", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    answer = api.post(DEVICE, {"counter": 1})
    lock.execute("ROLLBACK")
    lock.close()
    assert (answer.status, answer.body["error"]) == (500, "Internal Server Error")
    assert platform.writes() == []


def test_concurrent_writes_are_all_stored(platform, info, plenty):
    """Eight connections at once, with one client that keeps them alive."""
    secret = "{key_id}:{key_secret}".format(**info["device"]).encode()
    headers = {"Authorization": "Basic " + b64encode(secret).decode()}
    context = ssl.create_default_context(cafile=info["ca"])

    def write(worker):
        connection = HTTPSConnection("localhost", info["https"], context=context)
        for n in range(10):
            body = feed({"tt": 10 * worker + n, "v": n, "prop": "counter"}, t=T)
            connection.request("POST", "/v3" + FEED, body, headers)
            assert json.loads(connection.getresponse().read()) == {"accepted": 1, "rejected": 0}
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert [t_ms for _, t_ms, _ in platform.points()] == [T_MS + n for n in range(80)]
