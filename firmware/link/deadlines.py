"""How long each step on the network may take, in milliseconds: the whole of it, not each read.

A peer that drips a byte a second keeps every deadline of a single read. So each step has a total
one (`stream.within`), and the LinkError names the step that was late. The platform's own rule is
a keep-alive of 25 s and a timeout of 60 s: a dead connection has to be noticed within these.

Read as `deadlines.DNS_MS`, not copied by name: a test makes them shorter.
"""

from micropython import const

# Name servers are asked again after a second of silence, and given up after three; the third time
# is for the look-up as a whole.
DNS_AGAIN_MS = const(1000)
DNS_SILENCE_MS = const(3000)
DNS_MS = const(5000)
# A lost SYN is sent again after 1 s, and after 3 s; a third time would be after 7 s.
TCP_MS = const(6000)
# An ESP32 takes two to five seconds for the cryptography alone.
TLS_MS = const(12000)
# One question, one short answer each.
UPGRADE_MS = const(6000)
CONNACK_MS = const(6000)

# A packet of up to 8 KiB into the connection: what is slower can't keep up with the readings.
PACKET_OUT_MS = const(10000)
# PUBACK, SUBACK and PINGRESP may take as long as mqtt.grace_s: at least what a slow mobile network
# needs, at most so long that keep-alive and answer together stay within the platform's 60 s.
ANSWER_LEAST_MS = const(5000)
ANSWER_MOST_MS = const(30000)

# The platform's own time for who asks for an identity; then its broker closes the connection.
IDENTITY_MS = const(30000)
CLOSING_MS = const(3000)

# A whole exchange over HTTPS, from DNS to the last byte of the answer; and one for which MQTT has
# to wait, since only one TLS connection is open at a time.
EXCHANGE_MS = const(15000)
STATE_MS = const(12000)

# An answer that took longer says nothing about the time: half of its delay is the error.
SNTP_MS = const(5000)
