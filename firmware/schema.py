"""The table of config.json: every key, what it may be, and what it means.

A row is (key, kind, limits, unit, default, meaning). The kinds of values are those of
firmware/values.py, and these:

    kind        limits
    "section"   the rows of an object
    "sections"  (most, rows of each): a list of objects
    "sensors"   the same, and each object takes the keys of its driver (firmware/sensors/), too
    "url"       the schemes
    "hosts"     the most: a list of `host` or `host:port`
    "id"        (fewest, most) characters, none of which means something in an MQTT topic
    "property"  (fewest, most) characters of a property's name

A default of ... means that the key must be there; for a section, {} means that its keys have
defaults, and None that the part of the firmware it is for is left out without it.

This module is large, and only needed while the configuration is read: see config.forget.
"""

from firmware.control.thermostat import MODES, SETPOINT_C
from firmware.sensors import DRIVERS

# Properties that the firmware itself writes: a sensor of the same name would mix with them.
RESERVED = (
    "setpoint",
    "mode",
    "relay",
    "lastcommand",
    "uptime",
    "freeheap",
    "waiting",
    "spilled",
    "dropped",
    "rejected",
    "undated",
    "thinned",
    "lost",
    "damaged",
    "transport",
    "resetcause",
    "firmware",
    "reconnections",
    "rssi",
)

_DEVICE = (
    ("id", "id", (1, 64), "", ..., "the device's id, `_dev_…`; also its MQTT client id"),
    ("key_id", "text", (1, 64), "", ..., "the id of its device key, `_key_…`"),
    ("key_secret", "secret", (1, 128), "", ..., "the secret of its device key"),
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
)

_RELAY = (
    ("pin", "whole number", (0, 48), "", ..., "the pin that switches the relay"),
    ("active", "choice", ("high", "low"), "", "high", "the pin's level that switches it on"),
)

_THERMOSTAT = (
    ("sensor", "property", (1, 64), "", ..., "the `prop` of the sensor that it regulates by"),
    ("relay", "section", _RELAY, "", ..., "the relay of the heating"),
    ("mode", "choice", MODES, "", "heat", "the mode after a start; a command changes it"),
    ("setpoint", "number", SETPOINT_C, "°C", 21.0, "after a start; a command changes it"),
    (
        "hysteresis",
        "number",
        (0.1, 5),
        "K",
        0.5,
        "it heats from half of this below the set point to half of this above",
    ),
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
        "it heats below this in every mode; null for no frost protection",
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
    ("sensors", "sensors", (32, _SENSOR), "", (), "what is measured"),
    ("thermostat", "section", _THERMOSTAT, "", None, "what is regulated; nothing without it"),
    ("health", "section", _HEALTH, "", {}, "what the device tells of itself"),
)
