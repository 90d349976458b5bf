"""The page in Chromium, beside the real device and the stand-in."""

import re
import shutil
import sqlite3
import time

import pytest

from tests.system.device import wait
from tools.page.faults import Faults
from tools.page.page import Page
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
        self.browser.locator(f"button[data-id='{name}']").press("Enter")

    def pressed(self, name):
        return self.browser.get_attribute(f"button[data-id='{name}']", "aria-pressed") == "true"

    def stored(self, where):
        (path,) = self.device.folder.parent.glob("platform/platform.sqlite")
        with sqlite3.connect(path) as db:
            return db.execute(f"SELECT count(*) FROM writes WHERE {where}").fetchone()[0]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    with (
        PlatformThread(folder / "platform") as platform,
        Faults(platform.info, folder / "world.json") as faults,
        Device(folder / "device", platform.info, settings=faults.lead(config(platform.info))) as d,
        Page(platform, d, faults, 8080) as page,
        sync_api.sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser = chromium.new_page()
        browser.asked = []
        browser.on("request", lambda request: browser.asked.append(request.url))
        browser.goto(page.url)
        made = Shown(platform, d, faults, page, browser)
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


def test_a_broken_sensor_switches_the_relay_off(shown):
    since = time.time_ns() // 1_000_000
    shown.press("broken")
    shown.until(lambda: shown.pressed("broken"), "the button is on")
    shown.until(
        lambda: shown.stored(f"prop = 'fault' AND value != '\"none\"' AND t_ms > {since}"),
        "the fault in the database",
    )
    assert shown.platform.latest("relay")[1] is False
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
    field = shown.browser.get_by_label("set point")
    field.fill("22.5")
    shown.browser.locator("button[data-id='set']").press("Enter")
    shown.until(lambda: "200" in shown.text("answer"), "the platform's answer")
    shown.until(lambda: '"ok": true' in shown.text("told"), "the device's answer")
    assert shown.stored("prop = 'setpoint' AND key = 'client' AND value = '22.5'") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_scheme_fits_360_px(shown, scheme):
    shown.browser.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    shown.browser.set_viewport_size({"width": 360, "height": 740})
    shown.until(
        lambda: shown.browser.evaluate("document.documentElement.scrollWidth") == 360, "360 px"
    )
    back = shown.browser.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.search(r"\d+", back).group())
    assert (red > 128) == (scheme == "light")
