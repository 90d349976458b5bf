"""`csipio properties` prints what a device sends and obeys, all of it."""

import json

from tests.system.device import wait
from tests.system.test_commands import latest
from tests.system.test_door import write
from tools import declared


def test_a_profile_with_these_properties_takes_all_that_a_device_sends(device, platform):
    device.config["thermostat"].update(stage2={"pin": 27}, cooler={"pin": 25}, mode="auto")
    device.count(0.5, "bell")
    path = device.folder / "config.json"
    path.write_text(json.dumps(device.config))
    rows = {row.pop("name"): row for row in declared.properties(path)}
    for row in rows.values():
        del row["when"]
    platform.control(lambda tree: tree.update(properties=rows))
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"setpoint": 23})
    wait(lambda: (latest(platform, "lastcommand") or {}).get("ok"), "the command's answer")
    wait(lambda: latest(platform, "looppause") is not None, "a report of its health")
    wait(lambda: latest(platform, "bell"), "a reading")
    assert platform.log() == []
    assert latest(platform, "rejected") == 0
    # What a board has and a computer does not; what nobody commanded.
    missing = {name for name in rows if latest(platform, name) is None}
    assert missing <= {
        "rssi",
        "freeidf",
        "largestidf",
        "restart",
        "identify",
        "config",
        "damaged",
        "lastfault",
    }
