"""The types of MQTT's packets (MQTT 3.1.1, table 2.1), in the upper half of their first byte."""

from micropython import const

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)
