"""A local stand-in for the Csipio platform: an MQTT broker and an HTTPS API for devices.

It behaves as the platform's documentation says. Where that is silent, this is what it does:

Connections
- It listens on 127.0.0.1 only. Its certificate is for `localhost` and `127.0.0.1`.
- CONNACK says 1 for another version than MQTT 3.1.1, 4 for a wrong key id or secret, 5 for a
  disabled device, for a client id that is not the key's device and for a client key. The log tells
  these apart. A second connection of the device ends the first.
- A connection is closed after 1.5 keep-alives of silence, 60 s inside a packet, at a packet of
  more than 1 MiB, and at a protocol error. QoS 0, 1 and 2 are taken; a PUBACK (PUBCOMP) says that
  the points are stored, or refused for good as below.
- No session is ever kept: "session present" is 0, subscriptions end with the connection, and last
  wills are ignored.
- A retain flag in what a device publishes changes nothing: it may not subscribe to what it
  publishes. What the control file has as `retained` comes at each subscription, with the flag; a
  command has none.
- Disabling the device or changing its key ends its connection.

Topics
- A subscription outside `csipio/data/in/devices/{id}/…` is refused in the SUBACK (0x80). A
  publish to a topic that is not the device's, or of what is not a feed or a value, is
  acknowledged, dropped, and noted in the device's log. The connection is kept.
- Methods: a device has none. A call is dropped over MQTT, 404 over HTTPS.
- There are no gateways and no apps, and the built-in profile's
  properties (`active`, `lastIn`, …) are not kept.

Provisioning
- Who connects with a fleet's key has a client id of `_???_` and 1 to 18 characters that are no
  white space, may subscribe to `csipio/provisions/{clientId}` alone, and may publish to
  `csipio/provisions` alone: an object with one of `id`, `cid`, `mac`, `sn`, `esn`, `imei`, and
  `configProperty`, if it wants a configuration.
- A board that the fleet does not know, or whose device is disabled, gets no answer. Identifiers
  are compared as they are, but for a `mac`, in any case.
- The connection is closed half a second after the answer.

Writing
- `rateLimit` counts feeds (each write request or publish is one) within 59 s, apart for the
  device's key and the client's: over HTTPS 429 with Retry-After; over MQTT the feed is dropped and
  noted. More than `maxNrOfDpPerFeed` points: 413 or dropped, the whole feed.
- A feed that is not JSON (NaN is not), has no `dps`, or has a wrong attribute at feed level: 400,
  or dropped. A point with a wrong attribute is rejected by itself, the others are taken.
- A point without a time gets the server's. `tt` counts from the feed's `t`, without one from the
  server's time, and is ignored in a point that has a `t`. Digits finer than a millisecond are cut.
- Names are compared without case in feeds and in HTTPS paths, and must be lower case in a topic.
  In `POST …/properties/{prop}` a point may name that property or none; an unknown one is 404.
- A client key may write public properties only; its points for others are rejected.
- A disabled device's key gets 403 for a write; it may read.
- Tags, locations and annotations are checked, and not kept.

Commands
- A command goes out at the QoS of the device's subscription. It is not sent again: a device that
  does not acknowledge it has lost it.
- `publish: changed` sends a value that differs from the most recent one.

Reading
- The most recent value is the one with the latest time, not the one that came last.
- `{ref}` is a device's id or name; `_this_` is for a device's key only. For a device's key there
  is no other device (404). A client key is for all devices, and does not see private properties.
- The state's `header`, `meta` and `stats` are left out when the query says `false`. `stats` is the
  number of points in the time series.
- `GET /releases/{name}` on the API's port, of the stand-in alone: a file of a folder of releases,
  for any key; with `Range` and `If-Range`, and the ETag of its content.
- `GET /data/devices/{ref}/log`, of the stand-in alone: the device's log, oldest first, as
  `{"log": [{"time": …, "text": …}]}`.

Modules: `control` (the file by which one changes all this while it runs), `authority` (TLS),
`properties` and `feed` (what is valid), `ingest` (what becomes of it), `store` (SQLite), `broker`,
`provisions`, `api` and `state` (the transports), `service` (all of it together), `command` (the
command line's part), `thread` (for tests).
"""

from .command import main
from .service import Platform

__all__ = ["Platform", "main"]
