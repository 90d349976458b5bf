"""The page in Chromium, beside the real device and the stand-in."""

import itertools
import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import time

import pytest

from tests.system.device import wait
from tools import ROOT
from tools.page.faults import BUTTONS, Faults
from tools.page.fleet import Fleet
from tools.page.log import Log
from tools.page.page import Page
from tools.page.series import Series
from tools.platform.thread import PlatformThread
from tools.simulated import Device, config

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.xdist_group("page"),
]


class Shown:
    """One running page, its device, its platform, and a browser."""

    def __init__(self, platform, device, faults, page, browser):
        self.platform, self.device, self.faults = platform, device, faults
        self.page, self.browser = page, browser
        self._taken = 0
        self.device_id = (platform.info["device"]["id"],)

    def feed(self):
        writes = self.platform.writes(self._taken)
        self._taken += len(writes)
        self.page.add(writes)

    def until(self, condition, what):
        def asked():
            self.feed()
            self.browser.wait_for_timeout(50)  # lets its events through
            return condition()

        return wait(asked, what)

    def text(self, name):
        return self.browser.locator(f"[data-id='{name}']").inner_text()

    def press(self, name):
        button = f"button[data-id='{name}']"
        free = "aria-disabled"
        self.until(lambda: self.browser.get_attribute(button, free) != "true", f"{name} is free")
        self.browser.locator(f"button[data-id='{name}']").press("Enter")

    def pressed(self, name):
        return self.browser.get_attribute(f"button[data-id='{name}']", "aria-pressed") == "true"

    @property
    def now_ms(self):
        return time.time_ns() // 1_000_000

    def back(self, name):
        """Switch it off again, and wait until the device is as it was."""
        self.press(name)
        self.until(lambda: not self.pressed(name), f"{name} is off")
        since = self.now_ms
        self.until(
            lambda: self.stored(f"transport = 'mqtt' AND prop = 'temperature' AND t_ms > {since}"),
            "readings by MQTT",
        )

    def faulty(self, name):
        """Press what is wrong with the sensor; the fault is told, and the relay is off."""
        since = self.now_ms
        self.press(name)
        self.until(
            lambda: self.stored(f"prop = 'fault' AND value != '\"none\"' AND t_ms > {since}"),
            "the fault in the database",
        )
        assert self.platform.latest("relay")[1] is False

    def temperatures(self, since):
        """(t_ms, value) that the stand-in has of the first device, by their own times."""
        points = self.platform.points("temperature")
        return [(t_ms, value) for _, t_ms, value in points if t_ms >= since]

    def stored(self, where):
        (path,) = self.device.folder.parent.glob("platform/platform.sqlite")
        with sqlite3.connect(path) as db:
            count = f"SELECT count(*) FROM writes WHERE device = ? AND {where}"
            return db.execute(count, self.device_id).fetchone()[0]


def _settings(platform, faults):
    settings = faults.lead(config(platform.info))
    # What the page shows of these is waited for.
    settings["health"]["every_s"] = 2
    settings["thermostat"]["stale_after_s"] = 5
    return settings


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with (
        PlatformThread(folder / "platform") as platform,
        Faults(platform.info, folder / "world.json") as faults,
        Device(folder / "device", platform.info, settings=_settings(platform, faults)) as d,
        Fleet(platform, faults, folder, 2) as fleet,
        Page(platform, d, faults, 8080, fleet) as page,
        sync_api.sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser = chromium.new_context().new_page()
        browser.asked = []
        browser.on("request", lambda request: browser.asked.append(request.url))
        browser.goto(page.url)
        made = Shown(platform, d, faults, page, browser)
        made.settings = json.loads((folder / "device/config.json").read_text())
        made.until(lambda: made.text("carried by") == "mqtt", "MQTT on the page")
        yield made
        chromium.close()


def test_the_page_asks_nobody_but_its_own_origin(shown):
    foreign = [url for url in shown.browser.asked if not url.startswith((shown.page.url, "data:"))]
    assert shown.browser.asked
    assert foreign == []


def test_mqtt_cut_by_keyboard_is_carried_by_https_until_it_is_healed(shown):
    shown.press("mqtt")
    shown.until(lambda: shown.text("carried by") == "https", "HTTPS on the page")
    assert shown.pressed("mqtt")
    assert shown.stored("transport = 'https' AND prop = 'temperature'") > 0
    shown.press("mqtt")
    shown.until(lambda: shown.text("carried by") == "mqtt", "MQTT again")
    assert not shown.pressed("mqtt")
    assert shown.text("lost") == "0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_scheme_fits_360_px(shown, scheme):
    browser = shown.browser
    browser.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    browser.set_viewport_size({"width": 360, "height": 740})
    shown.until(lambda: browser.evaluate("document.documentElement.scrollWidth") == 360, "360 px")
    back = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.search(r"\d+", back).group())
    assert (red > 128) == (scheme == "light")
    browser.set_viewport_size({"width": 1280, "height": 800})
    wide = "document.querySelector('canvas').clientWidth > 600"
    shown.until(lambda: browser.evaluate(wide), "the chart at 1280 px")
    if os.environ.get("PAGE_IMAGES"):  # a minute's points, as wide as the chart is
        minute = shown.temperatures(0)[0][0] + 62_000
        wait(lambda: shown.feed() or shown.now_ms > minute, "a minute of points", 90)
        shown.browser.wait_for_timeout(1500)
    browser.evaluate("document.activeElement.blur()")
    browser.mouse.move(0, 0)
    (ROOT / "build").mkdir(exist_ok=True)
    path = ROOT / "build" / f"page-{scheme}.png"
    browser.screenshot(path=path)
    assert path.stat().st_size < 300_000
    if os.environ.get("PAGE_IMAGES"):  # those that docs/ has
        (ROOT / "docs" / "images").mkdir(exist_ok=True)
        shutil.copy(path, ROOT / "docs" / "images" / path.name)


def test_a_broken_sensor_switches_the_relay_off(shown):
    shown.faulty("broken")
    assert shown.pressed("broken")
    shown.press("broken")
    shown.until(lambda: shown.platform.latest("fault")[1] == "none", "the fault's end")


def test_the_power_pulled_starts_the_device_again(shown):
    starts = shown.device.log.read_text().count("started by")
    shown.press("power")
    shown.until(lambda: shown.device.log.read_text().count("started by") > starts, "another start")
    since = time.time_ns() // 1_000_000
    shown.until(lambda: shown.stored(f"prop = 'temperature' AND t_ms > {since}"), "a reading")
    assert shown.device.ended is None


def test_a_set_point_is_answered_and_obeyed(shown):
    field = shown.browser.get_by_role("spinbutton", name="set point")
    field.fill("22.5")
    shown.browser.locator("button[data-id='set']").press("Enter")
    shown.until(lambda: "200" in shown.text("answer"), "the platform's answer")
    shown.until(lambda: "setpoint taken" in shown.text("told"), "the device's answer")
    assert shown.stored("prop = 'setpoint' AND key = 'client' AND value = '22.5'") == 1


@pytest.mark.parametrize("name", ["silent", "stranger"])
def test_a_broker_that_is_none_is_left_for_https(shown, name):
    since = shown.now_ms
    shown.press(name)
    where = f"transport = 'https' AND prop = 'temperature' AND t_ms > {since}"
    shown.until(lambda: shown.stored(where), "readings by HTTPS")
    shown.until(lambda: shown.text("carried by") == "https", "HTTPS on the page")
    assert shown.pressed(name)
    if name == "stranger":
        shown.until(lambda: "certificate" in shown.device.log.read_text(), "why it is refused")
    shown.back(name)


def test_all_that_was_measured_while_everything_was_cut_comes_later(shown):
    lost = shown.text("lost")  # by the power that was pulled, if that came before
    since = shown.now_ms
    shown.press("all")
    shown.until(lambda: "last told" in shown.text("age"), "that the counts are old")
    shown.browser.reload()
    shown.until(lambda: shown.pressed("all"), "the button after a reload")
    healed = shown.now_ms
    shown.back("all")

    def whole():
        times = [t_ms for t_ms, _ in shown.temperatures(since)]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        return times[-1] > healed and max(gaps) < 2500

    shown.until(whole, "a reading for each second of the outage")
    told = shown.platform.latest("lost")[0]
    shown.until(lambda: shown.platform.latest("lost")[0] > told, "what the device tells of it")
    shown.until(lambda: "every" in shown.text("age"), "the same on the page")
    assert shown.text("lost") == lost


def test_a_slow_network_takes_200_ms_and_still_carries_all(shown):
    def round_trip_s():
        context = ssl.create_default_context(cafile=shown.platform.info["ca"])
        port = int(re.search(r"localhost:(\d+)", shown.settings["https"]["url"])[1])
        began = time.monotonic()
        with (
            socket.create_connection(("localhost", port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost"),
        ):
            return time.monotonic() - began

    shown.press("slow")
    shown.until(lambda: shown.pressed("slow"), "the button is on")
    assert round_trip_s() >= 0.2
    since = shown.now_ms
    shown.until(lambda: shown.stored(f"prop = 'temperature' AND t_ms > {since}"), "a reading")
    shown.until(lambda: shown.text("in flight") != "0 B", "bytes on their way")
    shown.back("slow")
    shown.until(lambda: shown.text("in flight") == "0 B", "none on their way")


def test_a_frozen_sensor_shows_one_digit(shown):
    shown.press("frozen")
    shown.until(lambda: shown.pressed("frozen"), "the button is on")
    since = shown.now_ms + 1000
    shown.until(lambda: len(shown.temperatures(since)) >= 3, "three readings")
    assert len({value for _, value in shown.temperatures(since)}) == 1
    shown.back("frozen")


def test_85_degrees_are_not_believed(shown):
    shown.faulty("hot")
    shown.back("hot")
    shown.until(lambda: shown.platform.latest("fault")[1] == "none", "the fault's end")


@pytest.mark.parametrize("name", ["window", "day"])
def test_the_room_changes_faster(shown, name):
    def fastest(since):
        values = [value for _, value in shown.temperatures(since)]
        return max((abs(b - a) for a, b in itertools.pairwise(values)), default=0)

    shown.press(name)
    shown.until(lambda: shown.pressed(name), "the button is on")
    since = shown.now_ms
    shown.until(lambda: fastest(since) > 0.7, "a step of more than 0.7 K in a second")
    shown.back(name)


def test_a_mode_is_sent_and_shown_as_the_device_tells_it(shown):
    since = shown.now_ms
    for mode in ("off", "heat"):
        shown.press(f"mode {mode}")
        shown.until(lambda m=mode: shown.pressed(f"mode {m}"), f"{mode} on the page")
        where = f"prop = 'mode' AND key = 'client' AND value = '\"{mode}\"' AND t_ms >= {since}"
        assert shown.stored(where) == 1


def test_a_preset_is_sent_and_shown_as_the_device_tells_it(shown):
    since = shown.now_ms
    for preset in ("away", "home"):
        shown.press(f"preset {preset}")
        shown.until(lambda p=preset: shown.pressed(f"preset {p}"), f"{preset} on the page")
        where = f"prop = 'preset' AND key = 'client' AND value = '\"{preset}\"'"
        assert shown.stored(f"{where} AND t_ms >= {since}") == 1


def test_a_schedule_is_edited_and_a_refusal_says_why(shown):
    times = shown.browser.get_by_label("time")
    count = times.count()
    shown.press("add")
    shown.until(lambda: times.count() == count + 1, "another entry")
    times.last.fill("")
    shown.press("send")
    shown.until(lambda: "schedule refused: " in shown.text("told"), "the device's refusal")
    times.last.fill("07:45")
    since = shown.now_ms
    shown.press("send")
    shown.until(lambda: "schedule taken" in shown.text("told"), "the device's answer")
    where = f"prop = 'schedule' AND key = 'client' AND t_ms >= {since} AND value LIKE '%07:45%'"
    assert shown.stored(where) == 1
    shown.browser.get_by_label("remove the entry").last.press("Enter")
    shown.until(lambda: times.count() == count, "one entry less")


def test_feeds_are_as_on_the_wire(shown):
    shown.until(lambda: "bytes  plain  {" in shown.text("feeds"), "a feed")
    received_ms, transport, size, body = shown.platform.wire()[-1]
    assert transport in ("mqtt", "https")
    assert received_ms > 0
    assert body.startswith(b'{"dps":[')
    assert len(body) <= size


def test_a_fleet_has_a_row_each(shown):
    rows = shown.browser.locator("[data-id='fleet'] tbody tr")
    shown.until(lambda: "mqtt" in rows.nth(1).inner_text(), "the second thermostat")
    assert [rows.nth(n).locator("th").inner_text() for n in range(rows.count())] == [
        "thermostat",
        "thermostat-2",
        "thermostat-3",
    ]
    shown.until(lambda: "s ago" in rows.nth(2).inner_text(), "when the third was heard")


def test_a_second_tab_sees_what_the_first_one_does(shown):
    second = shown.browser.context.new_page()
    second.goto(shown.page.url)
    button = second.locator("button[data-id='window']")
    shown.press("window")
    shown.until(lambda: button.get_attribute("aria-pressed") == "true", "it in the second tab")
    second.close()
    shown.back("window")


@pytest.mark.parametrize("name", ["mqtt", "power"])
def test_a_button_that_is_at_work_takes_no_second_press(shown, name):
    starts = shown.device.log.read_text().count("started by")
    button = shown.browser.locator(f"button[data-id='{name}']")
    shown.until(lambda: button.get_attribute("aria-disabled") == "false", "it is free")
    button.dblclick()
    shown.until(lambda: button.get_attribute("aria-disabled") == "true", "it is at work")
    shown.until(lambda: button.get_attribute("aria-disabled") == "false", "it is free again")
    if name == "mqtt":
        assert shown.pressed("mqtt")
        shown.back("mqtt")
        return
    since = shown.now_ms
    shown.until(lambda: shown.stored(f"prop = 'temperature' AND t_ms > {since}"), "a reading")
    assert shown.device.log.read_text().count("started by") == starts + 1


def test_every_button_is_reached_by_tab_and_says_what_to_watch(shown):
    shown.browser.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        shown.browser.keyboard.press("Tab")
        reached.add(shown.browser.evaluate("document.activeElement.dataset.id"))
    assert reached >= {button.name for button in BUTTONS} | {"power", "set", "mode off", "send"}
    for button in BUTTONS:
        assert button.watch in shown.text(button.name)


def test_what_is_kept_is_bounded(tmp_path):
    series = Series("d")
    row = {"device": "d", "prop": "temperature", "transport": "mqtt", "key": "device"}
    series.add([row | {"t_ms": n * 1000, "value": 20, "received_ms": n} for n in range(86_400)])
    assert len(series.lines["mqtt"]) < 5000
    assert series.delivered == 86_400
    path = tmp_path / "device.log"
    path.write_text("".join(f"{n:8}.000 I loop: relay on\n" for n in range(10_000)))
    log = Log(path)
    log.follow()
    assert len(log.lines) == 500
    assert log.shown("", "W") == []
    assert len(log.shown("loop", "I")) == 60
