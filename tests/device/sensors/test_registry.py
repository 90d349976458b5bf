"""The registry: every driver has what the sampler, the configuration and the README need."""

import io

from firmware.config.schema import rows
from firmware.sensors import DRIVERS, driver


def test_every_driver_says_what_it_measures_and_has_a_class():
    for name in DRIVERS:
        module = driver(name)
        assert module.MEASURES, name
        assert callable(module.Driver.start) and callable(module.Driver.value), name
        assert module.RANGE is None or module.RANGE[0] < module.RANGE[1], name
        assert all(meaning for _, _, _, _, meaning in rows(io.StringIO(module.KEYS))), name
