"""What a board does for a person at its prompt: the watchdog waits, networks are found."""

import fake_esp32
from fake_esp32 import WDT, WLAN, Machine, Timer

fake_esp32.install()

from firmware.board import esp32, unix  # noqa: E402 needs the stand-ins

HOUR_S = 3600


def begin(cause=Machine.PWRON_RESET):
    """A board that has just started by that, its watchdog not running."""
    Timer(0).deinit()
    esp32._dog = esp32._feeder = WDT.running = None
    WDT.bites = 0
    Machine.cause = cause


def test_the_watchdog_does_not_bite_for_an_hour_and_then_it_does():
    begin()
    esp32.watchdog(30000)
    assert esp32.at_prompt(1000 * HOUR_S) is True
    Timer.pass_s(HOUR_S)
    assert WDT.bites == 0
    Timer.pass_s(40)
    assert WDT.bites == 1, "whoever was there has forgotten the board"


def test_a_watchdog_that_never_ran_is_not_started():
    begin()
    esp32.at_prompt(1000 * HOUR_S)
    assert WDT.running is None


def test_a_watchdog_that_ran_before_a_soft_reset_is_fed_too():
    begin(Machine.SOFT_RESET)
    WDT(30000)
    esp32.at_prompt(1000 * HOUR_S)
    Timer.pass_s(HOUR_S - 60)
    assert WDT.bites == 0


def test_the_firmware_that_runs_again_feeds_for_itself():
    begin()
    esp32.watchdog(30000)
    esp32.at_prompt(1000 * HOUR_S)
    dog = esp32.watchdog(30000)
    Timer.pass_s(31)
    assert WDT.bites == 1 and dog.fed == 0, "its loop stands still, and no timer hides it"


def test_the_prompt_again_is_an_hour_again():
    begin()
    esp32.watchdog(30000)
    esp32.at_prompt(1000 * HOUR_S)
    Timer.pass_s(HOUR_S - 10)
    esp32.at_prompt(1000 * HOUR_S)
    Timer.pass_s(HOUR_S - 10)
    assert WDT.bites == 0


def test_networks_in_sight_come_by_their_strength_and_once():
    WLAN.error = WLAN.scan_error = None
    WLAN.scan_ms = 0
    WLAN.air = {"home": ("p", -70, 0), "": ("p", -10, 0), "attic": ("p", -30, 0)}
    esp32.Wifi([])
    scan = WLAN.scan
    WLAN.scan = lambda self: (
        scan(self)
        + [
            (b"home", b"bssid2", 11, -60, 3, False),
            (b"\xff\xfe", b"bssid3", 11, -20, 3, False),
        ]
    )
    try:
        found = esp32.networks()
    finally:
        WLAN.scan = scan
    assert found == [("attic", -30), ("neighbour", -40), ("home", -60)], found


def test_a_scan_that_fails_and_a_radio_that_is_none_are_told():
    WLAN.scan_error = "scan failed"
    esp32.Wifi([])
    try:
        for error, words in (
            (None, "cannot look for Wi-Fi networks: scan failed"),
            ("Wifi Unknown Error 0x0101", "the radio did not start"),
        ):
            WLAN.error = error
            if error:
                esp32.Wifi([])
                WLAN.error = None
            last = WLAN.last
            try:
                esp32.networks()
            except OSError as told:
                assert words in str(told), told
            else:
                raise AssertionError("it was not told")
        assert WLAN.last is last, "a second WLAN() may panic"
    finally:
        WLAN.error = WLAN.scan_error = None
        esp32._radio = None


def test_the_name_of_the_network_that_was_joined_is_known():
    import asyncio

    WLAN.air = {"home": ("p", -50, 0)}
    made = esp32.Wifi([{"ssid": "home", "password": "p"}], 60, 1000, 2)
    assert made.ssid is None
    asyncio.run(made.connect())
    assert made.ssid == "home"


def test_the_unix_ports_network_is_the_computers():
    assert unix.networks() is None and unix.Wifi([]).ssid is None


def test_where_the_program_was_given_no_prompt_follows():
    import sys

    kept = sys.argv[:]
    try:
        sys.argv.clear()
        assert unix.at_prompt(1000) is True
        sys.argv.append("-c")  # as csipio device has it
        assert unix.at_prompt(1000) is False
    finally:
        sys.argv.clear()
        sys.argv.extend(kept)


def test_a_radio_that_was_joining_when_it_was_interrupted_is_asked_anew():
    class Joining(WLAN):
        """The real one is one for all who ask, and keeps its state: Ctrl-C left it joining."""

        def __init__(self, interface):
            super().__init__(interface)
            self.on = True
            self.ssid = "home"

    module = esp32.network
    kept = module.WLAN
    module.WLAN = Joining
    WLAN.air = {"home": ("p", -50, 9)}
    try:
        assert ("home", -50) in esp32.networks()
    finally:
        module.WLAN = kept
