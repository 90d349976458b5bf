"""Faults of the DNS. The device's own name server is one of ours, in its resolv.conf."""

import pytest

from tests.faults.names import Misnamed, faults
from tests.faults.rig import Rig, together

FAMILY = "DNS"


@pytest.mark.timeout(300)
def test_names(tmp_path):
    """Connections end, so that the device asks for the names again."""

    def life(number, some):
        with Rig(tmp_path / str(number), FAMILY, 10 * number, named=True) as rig:
            rig.start()
            for fault in some:
                rig.measure(fault, rig.names, rig.disconnect)
            rig.finish()
        return rig

    every = faults()
    together(*(lambda n=n: life(n, every[n::3]) for n in range(3)))


@pytest.mark.timeout(300)
def test_a_device_that_starts_without_dns_delivers_everything_once_there_is_one(tmp_path):
    with Rig(tmp_path / "rig", FAMILY, named=True) as rig:
        silent = Misnamed("silent from the start", lambda query, at: [], 3)
        rig.names.inject(silent)
        rig.launch()
        rig.wait(lambda: silent.done, "three questions")
        assert not rig.ledger.times
        last = rig.device.counted()[-1]
        rig.names.heal()
        rig.wait(lambda: not rig.missing(last), "every reading")
        rig.finish()
    rig.check()
