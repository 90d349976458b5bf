"""The table of config.json: every key, what it may be, its default, and what it means.

A row is one line, which a backslash continues on the next one:

    key | kind | limits and unit | default | meaning

The rows of a section follow its own, indented by two blanks. A driver's KEYS (firmware/sensors/)
are such rows, too. The kinds of values, and their limits, are those of firmware/base/kinds.py.

A limit or a default is JSON, or the name of a value that stands elsewhere, such as `=MODES`. What
is `required` has no default; what is `required unless x` must not be where x is, a key of the same
section. A section whose default is {} has the defaults of its keys. One whose
default is null may be null, and the part of the firmware that it is for is left out then.

The table is a text because a text stays in flash and costs no RAM. Its rows are read one at a time
while a configuration is checked. The meanings are for docs/; they are not in the bytecode.
"""

import io

from firmware.commands import table as commands
from firmware.control import limits
from firmware.sensors import drivers
from firmware.supervision.health import names

# With all that the firmware reports of itself, 24 sensors make as many properties as fit into the
# six bits that a buffered point has for its property.
TABLE = """\
device     | section  |    | required | who the device is on the platform
  id         | id                   | 1 to 64  | required unless provision | \
      the device's id, `_dev_…`; also its MQTT client id
  key_id     | key id               | 1 to 64  | required unless provision | \
      the id of its device key, `_key_…`
  key_secret | secret               | 1 to 128 | required unless provision | \
      the secret of its device key
  provision  | section              |          | null     | \
      in place of these three: the device asks the platform who it is
    key_id     | key id        | 1 to 64  | required | the id of its fleet's key, `_key_…`
    key_secret | secret        | 1 to 128 | required | the secret of its fleet's key
    by         | choice        | ["mac", "id", "cid", "sn", "esn", "imei"] | "mac" | \
      what the platform tells the device by
    value      | text or null  | 1 to 64  | null     | \
      what that is of this device; null with `mac`, which the board knows
    store      | true or false |          | false    | \
      true keeps the identity on flash, for where the network is unreliable
  led        | output pin or null   | 0 to 48  | null     | \
      the pin of a lamp, whose flashes say how the device fares; see Safe mode and the lamp

wifi       | sections | 8  | []       | the networks to join, on a board
  ssid     | text   | 1 to 32 | required | the network's name; a hidden one is found, too
  password | secret | 0 to 64 | ""       | its password; empty for an open network

network    | section  |    | {}       | how the board is in its network
  hostname   | text or null  | 1 to 32 | null  | \
      its name there, of letters, digits and hyphens; null: `csipio-` and the end of `device.id`, \
      or of the MAC with `device.provision`
  country    | text or null  | 2 to 2  | null  | \
      where it is, such as `DE`, for the radio's channels; null: anywhere
  power_save | true or false |         | false | \
      true lets the radio sleep in between: it uses less, and commands come later
  dns        | addresses     | 2       | []    | \
      name servers that are asked when the first one of DHCP is silent; a board knows no other \
      one of DHCP, and asks the router then

mqtt       | section  |    | {}       | the usual way to the platform
  url         | url     | ["mqtt", "mqtts", "ws", "wss", "tcp"] | "mqtts://mqtt.csip.io:8883" | \
      the broker; without a port 1883, 8883, 80 or 443, and 8000 for ws to the platform's own; \
      ws and wss, MQTT through a WebSocket, take a path, too; tcp is mqtt, or mqtts on port 8883
  keepalive_s | whole number | 5 to 60 seconds    | 25   | \
      a connection that was silent this long is asked for a sign of life
  grace_s     | number       | 0 to 3600 seconds  | 10   | \
      MQTT may be down so long before HTTPS helps
  max_packet  | whole number | 256 to 65536 bytes | 4096 | \
      of a larger message only the property's name is read, and the command refused

https      | section  |    | {}       | the way while MQTT is down
  url    | url          | ["http", "https"]  | "https://api.csip.io/v3" | \
      the API, with its version; without a port 443, or 80 without TLS
  poll_s | whole number | 10 to 3600 seconds | 60 | \
      while HTTPS carries the feeds, the platform is asked for commands this often

tls        | section  |    | {}       | whom to trust
  ca     | text          | 1 to 128 | "certs/ca.pem" | the file with the certificates to trust, PEM
  verify | true or false |          | true           | \
      false trusts everybody: for a laboratory only

time       | section  |    | {}       | where the time comes from
  ntp  | hosts | 4 | ["pool.ntp.org"] | \
      time servers, port 123 if not given; [] where the operating system's clock is right
  zone | zone  |   | "UTC0"           | \
      local time, in which the schedule is: offset to UTC, west of it positive, and when summer \
      time begins and ends

feed       | section  |    | {}       | how readings are put together
  format     | choice       | ["plain", "compact"] | "plain" | \
      a whole time in every point, or a base time and differences to it
  max_points | whole number | 1 to 1000 points     | 100     | a feed goes out when it has these
  max_age_s  | number       | 0.1 to 3600 seconds  | 10      | or when its oldest point is this old
  per_minute | whole number | 1 to 60000 feeds     | 60      | the most feeds in a minute

buffer     | section  |    | {}       | where readings wait
  ram_points    | whole number or null | 16 to 65536 points           | null     | \
      readings that the RAM holds; null: 1024 without flash, else what comes in 4/3 of \
      `spill_after_s` and 25 s, from 384 to 1024
  flash_kib     | whole number         | 0 to 4096 KiB                | 512      | \
      flash for readings that cannot be delivered; 0 uses none
  spill_after_s | number               | 1 to 3600 seconds            | 30       | \
      an undelivered reading goes to flash after this time
  when_full     | choice               | ["oldest", "newest", "thin"] | "oldest" | \
      what goes when RAM and flash are full: the oldest readings, the newest, or every other one \
      of the oldest part

sensors    | sensors  | 24 | []       | what is measured
  prop     | property     | 1 to 64                     | required | \
      the property that its readings are
  driver   | choice       | =DRIVERS                    | required | \
      what it is; its own keys are listed by driver
  every_s  | number       | 0.1 to 86400 seconds        | 5        | \
      the time from reading to reading
  decimals | whole number | 0 to 6                      | 2        | decimals that are sent
  send     | choice       | ["feed", "value", "method"] | "feed"   | \
      a reading goes out in a feed; or at once, alone, as the property's value, or as the \
      argument of a method on the platform; what can't go at once goes in a feed
  method   | text or null | 1 to 64                     | null     | \
      with `send` `method`: the method's name; null for the property's
  quantity | text or null | 1 to 16                     | null     | \
      of a driver that measures several: which; null for its first. Entries of the same chip \
      have the same `every_s`
  offset   | number       | -100 to 100                 | 0        | added to every reading
  filter   | choice       | ["none", "median"]          | "none"   | \
      with `median` a reading that is not between the two before it gives way to the nearer one

thermostat | section  |    | null     | what is regulated; nothing without it
  sensor        | property       | 1 to 64              | required     | \
      the `prop` of the sensor that it regulates by
  relay         | section        |                      | required     | the relay of the heating
    pin    | output pin   | 0 to 48         | required | the pin that switches the relay
    active | choice       | ["high", "low"] | "high"   | the pin's level that switches it on
  mode          | choice         | =MODES               | "heat"       | \
      the mode after a start; a command changes it
  setpoint      | number         | =SETPOINT_C °C       | 21.0         | \
      after a start; a command changes it
  setpoint_cool | number         | =SETPOINT_C °C       | 26.0         | \
      what modes `cool` and `auto` cool down to, after a start; a command changes it
  dead_band     | number         | 0.5 to 15 K          | 2.0          | \
      in mode `auto`, cooling begins no closer to the heating's set point than this
  hysteresis    | number         | 0.1 to 5 K           | 0.5          | \
      it heats from half of this below the set point to half of this above
  regulator     | choice         | ["hysteresis", "pi"] | "hysteresis" | \
      how it heats: by that, or for a share of every cycle that it adapts to the room
  pi            | section        |                      | {}           | the regulator `pi`
    kp      | number | 0.01 to 10          | 0.5  | share of the cycle for each K that is missing
    ti_s    | number | 60 to 86400 seconds | 7200 | \
        time in which a lasting error adds its share once more; longer for slower rooms
    cycle_s | number | 60 to 7200 seconds  | 1200 | the relay switches on at most once in this time
  stage2        | section        |                      | null         | \
      a second relay that helps the first one; none without it
    pin     | output pin   | 0 to 48            | required | the pin that switches the relay
    active  | choice       | ["high", "low"]    | "high"   | the pin's level that switches it on
    after_s | number       | 0 to 86400 seconds | 1800     | \
        it joins when the first stage was wanted for so long without reaching the set point
    beyond  | number       | 0.5 to 20 K        | 3        | \
        or at once when so much is missing to it
  cooler        | section        |                      | null         | \
      the relay of the cooling; none without it
    pin    | output pin   | 0 to 48         | required | the pin that switches the relay
    active | choice       | ["high", "low"] | "high"   | the pin's level that switches it on
  min_on_s      | number         | 0 to 3600 seconds    | 180          | \
      once on, the relay stays on for this
  min_off_s     | number         | 0 to 3600 seconds    | 180          | \
      once off, and after power-up, the relay stays off for this
  max_on_s      | number         | 0 to 86400 seconds   | 0            | \
      once on for this, the heating rests for `min_off_s`; 0 for no limit
  stale_after_s | number         | 5 to 86400 seconds   | 120          | \
      without a reading for this time the heating is off; more than the sensor's `every_s`
  frost         | number or null | 0 to 15 °C           | 5.0          | \
      in every mode it heats so as to stay above this; null for no frost protection
  cut_out       | number         | 40 to 90 °C          | 45.0         | \
      from here on the heating is off at once
  jump          | number         | 1 to 100 K           | 10           | \
      a reading that differs by more from one of the minute before is no room's
  stuck_after_s | number         | 0 to 604800 seconds  | 0            | \
      a reading that stays the same to the last digit for this is no room's; 0: it may, but not \
      through hours of full heat
  failsafe      | section        |                      | null         | \
      heating without a sensor, to keep pipes from freezing; without this section it is off
    on_s    | number | 1 to 86400 seconds  | 600  | without a sensor, it heats for so long
    every_s | number | 60 to 86400 seconds | 3600 | in every so long
  presets       | section        |                      | {}           | \
      pairs of set points that have a name
    home  | section |  | {} | while somebody is there
      setpoint      | number | =SETPOINT_C °C | 21.0 | its set point
      setpoint_cool | number | =SETPOINT_C °C | 26.0 | its cooling set point
    away  | section |  | {} | while nobody is
      setpoint      | number | =SETPOINT_C °C | 16.0 | its set point
      setpoint_cool | number | =SETPOINT_C °C | 30.0 | its cooling set point
    sleep | section |  | {} | at night
      setpoint      | number | =SETPOINT_C °C | 18.0 | its set point
      setpoint_cool | number | =SETPOINT_C °C | 27.0 | its cooling set point
    boost | section |  | {} | for a while: it ends by itself
      setpoint      | number | =SETPOINT_C °C | 24.0 | its set point
      setpoint_cool | number | =SETPOINT_C °C | 23.0 | its cooling set point
  boost_s       | whole number   | 60 to 86400 seconds  | 3600         | \
      after this, what was before the preset `boost` is in force again
  schedule      | schedule       | =SCHEDULE_ENTRIES    | []           | \
      the week in local time, a list of `{"days": "mon-fri", "at": "06:30", "preset": "home"}`, \
      or with `"setpoint": 21.5` instead of a preset; days are `mon` to `sun`, `-` and `,` \
      between them, or `daily`; `"mon-fri 06:30 home"` is the same in short

health     | section  |    | {}       | what the device tells of itself
  every_s    | whole number | 0 to 86400 seconds | 300       | \
      time between reports of the device's own health; 0 for none
  properties | choices      | =REPORTED          | =REPORTED | what is in a report

config     | section  |    | {}       | how a configuration from afar is tried
  confirm_s | whole number | 30 to 3600 seconds | 180 | \
      a configuration that came as a command is kept if the platform is reached with it in this \
      time; else the one before is in force again

update     | section  |    | {}       | how the firmware is replaced from afar
  key       | text or null | 512 to 512         | null | \
      the public key of whoever signs releases, as `csipio keys show` prints it; the one in the \
      image goes before it, where there is one; null: no other
  confirm_s | whole number | 5 to 3600 seconds  | 300  | \
      a new version is kept once its regulation has run for so long and the platform is reached \
      with it; else the version before runs again
"""


def rows(table: io.StringIO, depth: int = 0):
    """The rows of a section, from where the table stands to the section's end.

    table: TABLE, or a driver's KEYS, as a file. depth: how many sections it is in. A row is (key,
    kind, limits, default, meaning), cells of which kinds.limits and `value` read two. After the
    row of a section the table stands at the section's own; those that nobody reads there are left
    out.
    """
    indent = "  " * depth
    while True:
        start = table.tell()
        line = table.readline()
        if line == "\n":
            continue
        if not line or not line.startswith(indent):
            table.seek(start)
            return
        if not line.startswith(" ", 2 * depth):
            key, kind, limits, default, meaning = line.split("|", 4)
            yield key.strip(), kind.strip(), limits.strip(), default.strip(), meaning


def value(cell: str):
    """What a cell says, or names; () where it is empty."""
    if cell == "=REPORTED":
        return names()
    if cell == "=DRIVERS":
        return drivers()
    if cell.startswith("required"):
        return None
    return limits.value(cell)


def is_required(default: str, given: dict) -> bool:
    """Whether a key of that default cell has to be in a section that has these."""
    word, _, other = default.partition(" unless ")
    return word == "required" and given.get(other) is None


def secrets() -> list:
    """The keys whose values are never shown."""
    keys = []
    for line in io.StringIO(TABLE):
        key, _, rest = line.partition("|")
        if rest.strip().startswith("secret") and key.strip() not in keys:
            keys.append(key.strip())
    return keys


def is_reserved(name: str) -> bool:
    """Whether the firmware itself writes this property; a sensor's readings would mix with it."""
    own = ("lastcommand", "relay", "relay2", "cooler", "fault")
    return name in own or name in names() or name in [row[0] for row in commands.rows()]
