"""The power goes fifty times while broker and API come and go: only what may be lost is lost."""

import random
import re
import time

import pytest

from tests.system.device import wait

CUTS = 50
COUNTERS = ("counter", "humidity")  # two at ten a second each
PERIOD_S = 0.1
OUTAGES = ([], ["mqtt"], ["mqtt", "https"])
SPILL_AFTER_S = 1
# The journal is looked after four times a second, and what is due is written in several steps.
SLACK_S = 0.75
SEED = 20


@pytest.mark.timeout(300)
def test_only_the_readings_of_the_last_moments_before_a_power_cut_are_missing(device, platform):
    chance = random.Random(SEED)
    platform.control(lambda tree: tree["limits"].update(rateLimit=6000))
    # Its values are counts here.
    platform.control(lambda tree: tree["properties"]["humidity"].pop("max", None))
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"] = {"every_s": 0}
    device.config["mqtt"]["grace_s"] = 0.5
    device.config["feed"] = {"max_age_s": 0.5, "per_minute": 600}
    device.config["buffer"] = {"spill_after_s": SPILL_AFTER_S}
    for prop in COUNTERS:
        device.count(PERIOD_S, prop)

    cuts = {prop: [] for prop in COUNTERS}
    for _ in range(CUTS):
        if chance.random() < 0.5:
            take_down(platform, chance.choice(OUTAGES))
        device.start()
        taken = len(device.counted())
        wait(lambda taken=taken: len(device.counted()) > taken, "a reading after the restart")
        time.sleep(chance.uniform(0, 2.5))
        device.kill()
        for prop in COUNTERS:
            cuts[prop].append(device.counted(prop)[-1])
    take_down(platform, [])
    device.start()
    for prop in COUNTERS:
        check(device, platform, prop, cuts[prop])
    check_counted(device, platform)
    transports = {write["transport"] for write in platform.writes()}
    assert transports == {"mqtt", "https"}


def check(device, platform, prop, cuts):
    """Compare what the platform has with every reading that was ever taken."""
    last = device.counted(prop)[-1]
    window = (SPILL_AFTER_S + SLACK_S) / PERIOD_S

    def arrived():
        return [value for _, _, value in platform.points(prop)]

    def missing():
        """Readings that are not there and should be: none from just before a cut."""
        gone = set(range(last)) - set(arrived())
        return [n for n in sorted(gone) if not any(cut - window <= n <= cut for cut in cuts)]

    wait(lambda: max(arrived(), default=-1) >= last, f"{prop} after the last cut", 60)
    try:
        wait(lambda: not missing(), "all of the backlog", 60)
    except AssertionError:
        raise AssertionError(f"{prop}: missing {missing()}; cuts at {cuts}") from None
    values = arrived()
    assert values == sorted(set(values)), "each reading has one millisecond, in order"
    assert set(values) <= set(device.counted(prop)), "nothing that was never read"
    assert len(values) > len(cuts) * 5, "there was more than what may be lost"


def check_counted(device, platform):
    """After each restart the device said how many readings the cut had cost, or more: a feed that
    had arrived, and was not acknowledged yet, counts as lost."""
    gone = 0
    for prop in COUNTERS:
        there = {value for _, _, value in platform.points(prop)}
        gone += len(set(range(device.counted(prop)[-1])) - there)
    told = [
        re.search("W intake: ([0-9]+) readings that were only in RAM", line) for line in device.log
    ]
    counted = sum(int(found[1]) for found in told if found)
    assert 0 < gone <= counted


def take_down(platform, listeners):
    platform.control(lambda tree: tree.update(down=listeners))


def test_at_default_settings_a_kill_in_an_outage_costs_few_readings(device, platform):
    platform.control(lambda tree: tree["properties"]["humidity"].pop("max", None))
    device.config["sensors"] = []
    device.config["thermostat"] = None
    device.config["health"] = {"every_s": 0}
    del device.config["feed"]
    for prop in COUNTERS:
        device.count(PERIOD_S, prop)
    device.start()
    wait(lambda: platform.points("counter"), "a delivery")
    take_down(platform, ["mqtt", "https"])
    time.sleep(15)
    device.kill()
    last = {prop: device.counted(prop)[-1] for prop in COUNTERS}
    take_down(platform, [])
    device.start()

    def lost():
        return sum(
            len(set(range(last[prop])) - {value for _, _, value in platform.points(prop)})
            for prop in COUNTERS
        )

    wait(lambda: lost() <= 30, "all but the last", 60)
    assert "damaged" not in "".join(device.log)
