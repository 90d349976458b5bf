"""Which access point an ESP32 joins, when it moves to another, and what the radio is told."""

import asyncio

import fake_esp32
from fake_esp32 import WLAN, Network

fake_esp32.install()

from firmware.board import esp32  # noqa: E402 needs the stand-ins

HOME = {"ssid": "home", "password": "p1"}
SHED = {"ssid": "shed", "password": "p2"}
NEAR, FAR, OTHER = b"near..", b"far...", b"other."


def wifi(networks, air, **more):
    WLAN.air = air
    WLAN.scan_ms, WLAN.scan_error, WLAN.stuck, WLAN.error = 0, None, 0, None
    made = esp32.Wifi(networks, 60, 1000, 2, **more)
    WLAN.last.history.clear()
    return made


def points(**dbm):
    """`home`, whose access points are heard so well."""
    found = {b"near..": dbm.get("near"), b"far...": dbm.get("far"), b"other.": dbm.get("other")}
    return {"home": ("p1", None, 0, {key: found[key] for key in found if found[key]})}


async def looked(made):
    """Whether it wants to move, once it has looked around."""
    made._looked_ms -= 600000
    for _ in range(50):
        if made.better():
            return True
        await asyncio.sleep_ms(2)
    return False


async def test_of_two_access_points_of_one_name_the_stronger_is_joined():
    for near, far in ((-50, -75), (-80, -75)):
        made = wifi([HOME], points(near=near, far=far))
        await made.connect()
        assert made.connected() and made.rssi() == max(near, far)
        assert WLAN.last.bssid == (NEAR if near > far else FAR)


async def test_the_weaker_one_is_joined_where_the_stronger_takes_nobody():
    made = wifi([HOME, SHED], points(near=-50, far=-75, other=-80))
    WLAN.deaf = (NEAR,)
    try:
        await made.connect()
        assert WLAN.last.bssid == FAR
        # Others have to get their turn, so that of one name no more than two are tried.
        WLAN.deaf = (NEAR, FAR, OTHER)
        WLAN.air["shed"] = ("p2", -85, 0)
        made.disconnect()
        await made.connect()
        assert WLAN.last.ssid == "shed"
        WLAN.air.pop("shed")
        made.disconnect()
        try:
            await made.connect()
        except OSError as error:
            assert str(error).count("home: ") == 1, error
        else:
            raise AssertionError("it connected")
    finally:
        WLAN.deaf = ()


async def test_it_moves_when_its_access_point_fades_far_below_another():
    air = points(near=-50, far=-70)
    made = wifi([HOME], air)
    await made.connect()
    assert WLAN.last.bssid == NEAR
    for near, far, moves in (
        (-60, -40, False),  # good enough
        (-80, -70, False),  # not far below
        (-80, -82, False),
        (-85, -70, True),
    ):
        air["home"][3].update({NEAR: near, FAR: far})
        WLAN.last.history.clear()
        assert await looked(made) is moves, (near, far)
        assert ("scan" in WLAN.last.history) is (near < -70)
        assert made.connected(), "it stays until it is asked to move"
    await made.connect()
    assert WLAN.last.bssid == FAR and made.rssi() == -70
    assert not made.better()


async def test_it_looks_around_only_now_and_then():
    made = wifi([HOME], points(near=-80))
    await made.connect()
    WLAN.last.history.clear()
    for _ in range(20):
        assert not made.better()
        await asyncio.sleep_ms(1)
    assert WLAN.last.history == []
    WLAN.scan_error = "scan failed"
    assert not await looked(made)
    assert WLAN.last.history == ["scan"]


async def test_where_there_is_no_network_there_is_no_better_one():
    assert not wifi([], {}).better()
    made = wifi([HOME], points(near=-80, far=-60))
    made._looked_ms -= 600000
    assert not made.better()
    assert WLAN.last.history == []


def test_the_radio_is_told_where_it_is_before_it_is_on():
    radio = {"hostname": None, "country": "DE", "power_save": False}
    wifi([HOME], {}, radio=radio, device_id="_dev_571692235317590466")
    assert WLAN.last.settings == {"pm": WLAN.PM_NONE}
    assert WLAN.last.country == "DE", "before the radio is on"
    assert Network.name == "csipio-17590466"


async def test_the_power_saving_is_off_after_each_start_of_the_radio():
    made = wifi([HOME], {"home": ("p1", -50, 0)}, radio={"power_save": False})
    await made.connect()
    assert WLAN.last.settings == {"pm": WLAN.PM_NONE}
    made = wifi([HOME], {"home": ("p1", -50, 0)}, radio={"power_save": True})
    await made.connect()
    assert WLAN.last.settings == {}


def test_a_host_name_has_letters_digits_and_hyphens():
    for given, device_id, name in (
        ("Hall", "_dev_1", "Hall"),
        ("my hall's_thermostat", "_dev_1", "my-hall-s-thermostat"),
        ("-x-", "_dev_1", "x"),
        (None, "_dev_1", "csipio-dev-1"),
        (None, "a.b:c°d", "csipio-a-b-c-d"),
        (None, "_" * 20, "csipio"),
    ):
        wifi([HOME], {}, radio={"hostname": given}, device_id=device_id)
        assert Network.name == name, (given, Network.name)


async def test_what_the_radio_refuses_of_it_costs_nothing():
    WLAN.refuses = True
    try:
        made = wifi([HOME], {"home": ("p1", -50, 0)}, radio={"country": "DE"}, device_id="x")
        await made.connect()
        assert made.connected()
    finally:
        WLAN.refuses = False
