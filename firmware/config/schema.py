"""The table of config.json: every key, what it may be, and what it means.

A row is (key, kind, limits, unit, default, meaning). The kinds of values are those of
firmware/base/kinds.py, and these:

    kind        limits
    "section"   the rows of an object
    "sections"  (most, rows of each): a list of objects
    "sensors"   the same, and each object takes the keys of its driver (firmware/sensors/), too
    "url"       the schemes
    "hosts"     the most: a list of `host` or `host:port`
    "id"        (fewest, most) characters, none of which means something in an MQTT topic
    "property"  (fewest, most) characters of a property's name
    "zone"      none: a POSIX TZ rule, see firmware/times/zone.py
    "schedule"  the most entries, see firmware/control/schedule.py

A default of ... means that the key must be there; for a section, {} means that its keys have
defaults, and None that the part of the firmware it is for is left out without it.

This module is large, and only needed while the configuration is read: see config.forget.
"""

from firmware.commands.table import COMMANDS
from firmware.control.limits import MODES, SETPOINT_C
from firmware.sensors import DRIVERS
from firmware.supervision.health import names

_REPORTED = tuple(names())
# Properties that the firmware itself writes: a sensor of the same name would mix with them.
RESERVED = (
    _REPORTED
    + tuple([row[0] for row in COMMANDS])
    + ("lastcommand", "relay", "relay2", "cooler", "fault")
)

_DEVICE = (
    ("id", "id", (1, 64), "", ..., "the device's id, `_dev_…`; also its MQTT client id"),
    ("key_id", "text", (1, 64), "", ..., "the id of its device key, `_key_…`"),
    ("key_secret", "secret", (1, 128), "", ..., "the secret of its device key"),
    (
        "led",
        "whole number or null",
        (0, 48),
        "",
        None,
        "the pin of a light, which blinks when the command `identify` asks for it",
    ),
)

_WIFI = (
    ("ssid", "text", (1, 32), "", ..., "the network's name; a hidden one is found, too"),
    ("password", "secret", (0, 64), "", "", "its password; empty for an open network"),
)

_MQTT = (
    (
        "url",
        "url",
        ("mqtt", "mqtts", "ws", "wss"),
        "",
        "mqtts://mqtt.csip.io:8883",
        "the broker; without a port 1883, 8883, 80 or 443; ws and wss, MQTT through a WebSocket,"
        " take a path, too",
    ),
    (
        "keepalive_s",
        "whole number",
        (5, 60),
        "seconds",
        25,
        "a connection that was silent this long is asked for a sign of life",
    ),
    ("grace_s", "number", (0, 3600), "seconds", 10, "MQTT may be down so long before HTTPS helps"),
    (
        "max_packet",
        "whole number",
        (256, 65536),
        "bytes",
        4096,
        "of a larger message only the property's name is read, and the command refused",
    ),
)

_HTTPS = (
    (
        "url",
        "url",
        ("http", "https"),
        "",
        "https://api.csip.io/v3",
        "the API, with its version; without a port 443, or 80 without TLS",
    ),
    (
        "poll_s",
        "whole number",
        (10, 3600),
        "seconds",
        60,
        "while HTTPS carries the feeds, the platform is asked for commands this often",
    ),
)

_TLS = (
    ("ca", "text", (1, 128), "", "certs/ca.pem", "the file with the certificates to trust, PEM"),
    ("verify", "true or false", (), "", True, "false trusts everybody: for a laboratory only"),
)

_TIME = (
    (
        "ntp",
        "hosts",
        4,
        "",
        ("pool.ntp.org",),
        "time servers, port 123 if not given; [] where the operating system's clock is right",
    ),
    (
        "zone",
        "zone",
        (),
        "",
        "UTC0",
        "local time, in which the schedule is: offset to UTC, west of it positive, and when summer"
        " time begins and ends",
    ),
)

_FEED = (
    (
        "format",
        "choice",
        ("plain", "compact"),
        "",
        "plain",
        "a whole time in every point, or a base time and differences to it",
    ),
    ("max_points", "whole number", (1, 1000), "points", 100, "a feed goes out when it has these"),
    ("max_age_s", "number", (0.1, 3600), "seconds", 10, "or when its oldest point is this old"),
    ("per_minute", "whole number", (1, 6000), "feeds", 60, "the most feeds in a minute"),
)

_BUFFER = (
    ("ram_points", "whole number", (16, 65536), "points", 1024, "readings that the RAM holds"),
    (
        "flash_kib",
        "whole number",
        (0, 4096),
        "KiB",
        512,
        "flash for readings that cannot be delivered; 0 uses none",
    ),
    (
        "spill_after_s",
        "number",
        (1, 3600),
        "seconds",
        30,
        "an undelivered reading goes to flash after this time",
    ),
    (
        "when_full",
        "choice",
        ("oldest", "newest", "thin"),
        "",
        "oldest",
        "what goes when RAM and flash are full: the oldest readings, the newest, or every other"
        " one of the oldest part",
    ),
)

_SENSOR = (
    ("prop", "property", (1, 64), "", ..., "the property that its readings are"),
    ("driver", "choice", DRIVERS, "", ..., "what it is; its own keys are listed by driver"),
    ("every_s", "number", (0.1, 86400), "seconds", 5, "the time from reading to reading"),
    ("decimals", "whole number", (0, 6), "", 2, "decimals that are sent"),
    (
        "send",
        "choice",
        ("feed", "value", "method"),
        "",
        "feed",
        "a reading goes out in a feed; or at once, alone, as the property's value, or as the"
        " argument of a method on the platform; what can't go at once goes in a feed",
    ),
    (
        "method",
        "text or null",
        (1, 64),
        "",
        None,
        "with `send` `method`: the method's name; null for the property's",
    ),
)

_RELAY = (
    ("pin", "whole number", (0, 48), "", ..., "the pin that switches the relay"),
    ("active", "choice", ("high", "low"), "", "high", "the pin's level that switches it on"),
)

_STAGE2 = _RELAY + (
    (
        "after_s",
        "number",
        (0, 86400),
        "seconds",
        1800,
        "it joins when the first stage was wanted for so long without reaching the set point",
    ),
    ("beyond", "number", (0.5, 20), "K", 3, "or at once when so much is missing to it"),
)

_PI = (
    ("kp", "number", (0.01, 10), "", 0.5, "share of the cycle for each K that is missing"),
    (
        "ti_s",
        "number",
        (60, 86400),
        "seconds",
        7200,
        "time in which a lasting error adds its share once more; longer for slower rooms",
    ),
    (
        "cycle_s",
        "number",
        (60, 7200),
        "seconds",
        1200,
        "the relay switches on at most once in this time",
    ),
)

_FAILSAFE = (
    ("on_s", "number", (1, 86400), "seconds", 600, "without a sensor, it heats for so long"),
    ("every_s", "number", (60, 86400), "seconds", 3600, "in every so long"),
)


def _preset(setpoint, setpoint_cool):
    return (
        ("setpoint", "number", SETPOINT_C, "°C", setpoint, "its set point"),
        ("setpoint_cool", "number", SETPOINT_C, "°C", setpoint_cool, "its cooling set point"),
    )


_PRESETS = (
    ("home", "section", _preset(21.0, 26.0), "", {}, "while somebody is there"),
    ("away", "section", _preset(16.0, 30.0), "", {}, "while nobody is"),
    ("sleep", "section", _preset(18.0, 27.0), "", {}, "at night"),
    ("boost", "section", _preset(24.0, 23.0), "", {}, "for a while: it ends by itself"),
)

_THERMOSTAT = (
    ("sensor", "property", (1, 64), "", ..., "the `prop` of the sensor that it regulates by"),
    ("relay", "section", _RELAY, "", ..., "the relay of the heating"),
    ("mode", "choice", MODES, "", "heat", "the mode after a start; a command changes it"),
    ("setpoint", "number", SETPOINT_C, "°C", 21.0, "after a start; a command changes it"),
    (
        "setpoint_cool",
        "number",
        SETPOINT_C,
        "°C",
        26.0,
        "what modes `cool` and `auto` cool down to, after a start; a command changes it",
    ),
    (
        "dead_band",
        "number",
        (0.5, 15),
        "K",
        2.0,
        "in mode `auto`, cooling begins no closer to the heating's set point than this",
    ),
    (
        "hysteresis",
        "number",
        (0.1, 5),
        "K",
        0.5,
        "it heats from half of this below the set point to half of this above",
    ),
    (
        "regulator",
        "choice",
        ("hysteresis", "pi"),
        "",
        "hysteresis",
        "how it heats: by that, or for a share of every cycle that it adapts to the room",
    ),
    ("pi", "section", _PI, "", {}, "the regulator `pi`"),
    (
        "stage2",
        "section",
        _STAGE2,
        "",
        None,
        "a second relay that helps the first one; none without it",
    ),
    ("cooler", "section", _RELAY, "", None, "the relay of the cooling; none without it"),
    ("min_on_s", "number", (0, 3600), "seconds", 180, "once on, the relay stays on for this"),
    (
        "min_off_s",
        "number",
        (0, 3600),
        "seconds",
        180,
        "once off, and after power-up, the relay stays off for this",
    ),
    (
        "max_on_s",
        "number",
        (0, 86400),
        "seconds",
        0,
        "once on for this, the heating rests for `min_off_s`; 0 for no limit",
    ),
    (
        "stale_after_s",
        "number",
        (5, 86400),
        "seconds",
        120,
        "without a reading for this time the heating is off; more than the sensor's `every_s`",
    ),
    (
        "frost",
        "number or null",
        (0, 15),
        "°C",
        5.0,
        "in every mode it heats so as to stay above this; null for no frost protection",
    ),
    ("cut_out", "number", (40, 90), "°C", 45.0, "from here on the heating is off at once"),
    (
        "jump",
        "number",
        (1, 100),
        "K",
        10,
        "a reading that differs by more from one of the minute before is no room's",
    ),
    (
        "stuck_after_s",
        "number",
        (0, 604800),
        "seconds",
        0,
        "a reading that stays the same to the last digit for this is no room's; 0: it may",
    ),
    (
        "failsafe",
        "section",
        _FAILSAFE,
        "",
        None,
        "heating without a sensor, to keep pipes from freezing; without this section it is off",
    ),
    ("presets", "section", _PRESETS, "", {}, "pairs of set points that have a name"),
    (
        "boost_s",
        "whole number",
        (60, 86400),
        "seconds",
        3600,
        "after this, what was before the preset `boost` is in force again",
    ),
    (
        "schedule",
        "schedule",
        42,
        "",
        (),
        'the week in local time, a list of `{"days": "mon-fri", "at": "06:30", "preset": "home"}`,'
        ' or with `"setpoint": 21.5` instead of a preset; days are `mon` to `sun`, `-` and `,`'
        ' between them, or `daily`; `"mon-fri 06:30 home"` is the same in short',
    ),
)

_CONFIG = (
    (
        "confirm_s",
        "whole number",
        (30, 3600),
        "seconds",
        180,
        "a configuration that came as a command is kept if the platform is reached with it in"
        " this time; else the one before is in force again",
    ),
)

_HEALTH = (
    (
        "every_s",
        "whole number",
        (0, 86400),
        "seconds",
        300,
        "time between reports of the device's own health; 0 for none",
    ),
    ("properties", "choices", _REPORTED, "", _REPORTED, "what is in a report"),
)

SCHEMA = (
    ("device", "section", _DEVICE, "", ..., "who the device is on the platform"),
    ("wifi", "sections", (8, _WIFI), "", (), "the networks to join, on a board"),
    ("mqtt", "section", _MQTT, "", {}, "the usual way to the platform"),
    ("https", "section", _HTTPS, "", {}, "the way while MQTT is down"),
    ("tls", "section", _TLS, "", {}, "whom to trust"),
    ("time", "section", _TIME, "", {}, "where the time comes from"),
    ("feed", "section", _FEED, "", {}, "how readings are put together"),
    ("buffer", "section", _BUFFER, "", {}, "where readings wait"),
    # With all that the firmware reports of itself, a point's property has to fit in six bits.
    ("sensors", "sensors", (24, _SENSOR), "", (), "what is measured"),
    ("thermostat", "section", _THERMOSTAT, "", None, "what is regulated; nothing without it"),
    ("health", "section", _HEALTH, "", {}, "what the device tells of itself"),
    ("config", "section", _CONFIG, "", {}, "how a configuration from afar is tried"),
)
