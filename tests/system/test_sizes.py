"""Commands of every size: what is taken while the device is there is taken if it was away."""

from tests.system.device import wait
from tests.system.test_commands import by_device, latest
from tests.system.test_door import heard, verdicts, write


def schedule(preset):
    """42 entries, of as many bytes as a command may have."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    entries = []
    for n in range(42):
        at = f"{6 + n // 7:02}:{n % 7:02}"
        entries.append({"days": names[n % 7], "at": at, "preset": preset})
    return {"entries": entries}


def test_what_is_taken_live_is_taken_after_an_absence(device, platform):
    device.start()
    device.wait_log("listening for commands")
    write(platform, {"schedule": schedule("home")})
    assert heard(platform, "schedule")["reason"] == ""
    assert device.interrupt() == 0
    write(platform, {"schedule": schedule("away")})
    before = len(verdicts(platform))

    device.start()
    wait(lambda: len(verdicts(platform)) > before, "the verdict")
    last = verdicts(platform)[-1]
    assert (last["property"], last["ok"], last["reason"]) == ("schedule", True, "")
    assert by_device(platform, "schedule")[-1]["entries"][0] == "mon 06:00 away"


def test_what_is_too_long_is_refused_by_name_live_and_after_an_absence(device, platform):
    device.start(heap="256K")
    device.wait_log("listening for commands")
    sizes = []
    for n, letters in enumerate((3000, 5000, 100000, 4000, 50000)):
        if n == 3:
            assert device.interrupt() == 0
        write(platform, {"config": {"wifi": [{"ssid": "x" * letters}]}})
        sizes.append(letters + len('{"wifi":[{"ssid":""}]}'))
        if n < 3:
            wait(lambda n=n: len(verdicts(platform)) == n + 1, "the verdict")
    device.start(heap="256K")
    wait(lambda: len(verdicts(platform)) == 4, "the verdict on the last one that was missed")
    del sizes[3]  # overwritten
    reasons = [f"expected an object, got {size} bytes" for size in sizes]
    assert [verdict["reason"] for verdict in verdicts(platform)] == reasons
    assert latest(platform, "config") == {}
