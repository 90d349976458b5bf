"""The power may go at any moment of a trial."""

import json
import os

from flash import HALF, NEW, OLD, Flash, formatted, mount, umount
from tried import CONFIG, TWO, Device, read, write

HEAP = "8M"


def test_the_power_may_go_at_any_moment():
    """On a littlefs: whatever is cut off, the configuration is one of the two, whole; the old one
    comes back unless the new one was confirmed.
    """
    power_may_go(CONFIG)


def test_the_power_may_go_where_the_last_good_one_is_in_force():
    """As above, where the file has a wrong value, which the part mends."""
    broken = json.loads(json.dumps(CONFIG))
    broken["thermostat"]["setpoint"] = 99
    power_may_go(broken)


def proposed(device, part):
    device.propose(part)


def confirmed(device, part):
    device.propose(part)
    device.start()
    if device.trial.pending():
        device.trial.confirm()


def rolled_back(device, part):
    device.propose(part)
    device.start()
    if device.trial.pending():
        device.trial.roll_back("nobody answered")
    device.start()
    device.trial.note()


def power_may_go(found):
    part = {"thermostat": {"setpoint": 21}, "mqtt": TWO["mqtt"]}
    empty = Flash(32, formatted(32))
    mount(empty)
    here = os.getcwd()
    os.chdir("/flash")
    Device().start()
    write("config.json", found)
    os.chdir(here)
    umount()
    before = bytes(empty.data)

    for scenario in (proposed, confirmed, rolled_back):
        outcomes = []
        flash, _ = run(before, scenario, part, 0, OLD)
        operations = flash.operations
        for cut_at in range(1, operations + 1):
            # As it was, as it should be, or half done: each at a third of the operations, and as
            # it should be at the last.
            leaves = NEW if cut_at == operations else (OLD, NEW, HALF)[cut_at % 3]
            flash, finished = run(before, scenario, part, cut_at, leaves)
            assert not finished
            flash = Flash(32, flash.data)
            mount(flash)
            os.chdir("/flash")
            try:
                device = Device(None)
                in_force = device.broker()
                outcomes.append(in_force)
                if device.trial.pending():
                    assert in_force == "two", (scenario, cut_at)
                    assert read("config.good.json") == CONFIG, (scenario, cut_at)
                    device.trial.roll_back("nobody answered")
                    in_force = device.start()
                    assert read() == found, (scenario, cut_at)
                    assert in_force == "one", (scenario, cut_at)
                elif in_force == "one":
                    assert read() == found, (scenario, cut_at)
                else:
                    assert scenario is confirmed, (scenario, cut_at)
                    assert read("config.good.json") == read(), (scenario, cut_at)
                device.trial.note()
                # The next one is not in its way.
                assert device.propose({"thermostat": {"setpoint": 22}})[1]
                assert device.start() == in_force
                assert device.trial.pending()
            finally:
                os.chdir(here)
                umount()
        assert "one" in outcomes and "two" in outcomes, scenario


def run(image, scenario, part, cut_at, leaves):
    """The flash after a scenario that the power was cut in, and whether it came to its end."""
    flash = Flash(32, image)
    mount(flash)
    here = os.getcwd()
    os.chdir("/flash")
    device = Device(None)
    flash.operations = 0
    flash.cut_at = cut_at
    flash.cut_leaves = leaves
    finished = False
    try:
        scenario(device, part)
        finished = not flash.dead
    except OSError:
        pass
    finally:
        os.chdir(here)
        umount()
    return flash, finished
