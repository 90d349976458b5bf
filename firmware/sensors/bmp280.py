"""BMP280, a barometer and thermometer on I²C."""

from firmware.sensors.bosch import Barometer

MEASURES = (("temperature", "°C", -40, 85), ("pressure", "hPa", 300, 1100))
SHARED = ("sda", "scl", "address")
KEYS = """\
sda     | bus pin      | 0 to 48          | 21     | the bus's data pin
scl     | bus pin      | 0 to 48          | 22     | the bus's clock pin
address | choice       | ["0x76", "0x77"] | "0x76" | 0x77 where its pin SDO is high
"""

Driver = Barometer
