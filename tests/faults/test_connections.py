"""Faults of TCP: a server that is not there, or that is there and of no use."""

import re

import pytest

from tests.faults.rig import RECOVERY_S, Rig, together
from tools.faults.faults import Close, Drip, HalfOpen, Refuse, Reset, Silent, Stall
from tools.faults.units import DOWN, UP


@pytest.mark.timeout(300)
def test_connections_to_the_broker(tmp_path):
    def life(number, faults):
        with Rig(tmp_path / str(number), "TCP to the broker", 10 * number) as rig:
            rig.start()
            for fault in faults:
                rig.measure(fault, rig.broker)
            rig.finish()
        return rig

    lives = [
        [Refuse(2), Silent("accept and stay silent"), Close("close", 2), Reset("reset", 2)],
        [HalfOpen("half-open"), Drip(DOWN), Drip(UP)],
        # Inside CONNECT, and inside the first PUBLISH.
        [Stall(UP, n) for n in (0, 1, 2, 50, 300)],
        # Inside CONNACK, SUBACK and the first PUBACK.
        [Stall(DOWN, n) for n in (0, 1, 3, 4, 6, 11)],
    ]
    together(*(lambda n=n, faults=faults: life(n, faults) for n, faults in enumerate(lives)))


@pytest.mark.timeout(300)
def test_the_back_off_and_the_deadlines_as_they_are(tmp_path):
    """Nothing is shortened here: recovery within the delay that the log told last."""

    def within_s(log):
        delays = [re.search(r"MQTT: .*; next try in (\d+) s", line) for line in log]
        return int([found for found in delays if found][-1][1]) + RECOVERY_S

    def life(number, fault):
        name = "TCP to the broker, deadlines and back-off of a device"
        with Rig(tmp_path / str(number), name, number, patient=True) as rig:
            rig.start()
            rig.measure(fault, rig.broker, within_s=within_s)
            rig.finish()
        return rig

    faults = [Refuse(8), Silent("accept and stay silent"), HalfOpen("half-open"), Drip(DOWN)]
    together(*(lambda n=n, fault=fault: life(n, fault) for n, fault in enumerate(faults)))
