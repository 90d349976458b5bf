"""What the relays of one room do together: heating, its second stage, and cooling."""

from house import Rig, settings


def changes(rig, seconds, temp_c, at=None):
    """[(second, (heat, heat2, cool)), …] of what changed; `at`: {second: what is done then}."""
    found = []
    for second in range(seconds):
        if at and second in at:
            at[second](rig.thermostat)
        rig.step(1000, temp_c + second % 2 / 16)  # a sensor that never changes is stuck
        state = (rig.heat, rig.heat2, rig.cool)
        if not found or found[-1][1] != state:
            found.append((second, state))
    return found


def test_the_cooler_waits_for_the_second_stage_as_well():
    section = settings(
        mode="heat",
        setpoint=21,
        setpoint_cool=22,
        cooler={"pin": 25},
        stage2={"pin": 27, "after_s": 60, "beyond": 20},
        min_on_s=180,
        min_off_s=30,
    )

    def cool(thermostat):
        thermostat.mode = "cool"
        thermostat.setpoint_cool = 18

    # The first stage has been on for 180 s when the second one has just joined.
    found = changes(Rig(section), 600, 20, {215: cool})
    assert [state for _, state in found] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (False, True, False),
        (False, False, True),
    ], found


def test_the_second_stage_rests_with_the_first_at_its_maximum():
    section = settings(
        mode="heat",
        setpoint=21,
        stage2={"pin": 27, "after_s": 260, "beyond": 20},
        min_on_s=60,
        min_off_s=60,
        max_on_s=250,
    )
    # On from the 60th second on. It would join 50 s before the maximum, for 60 s at least.
    assert changes(Rig(section), 320, 18) == [
        (0, (False, False, False)),
        (60, (True, False, False)),
        (310, (False, False, False)),
    ]
    section["stage2"]["after_s"] = 240
    assert changes(Rig(section), 320, 18) == [
        (0, (False, False, False)),
        (60, (True, False, False)),
        (240, (True, True, False)),
        (310, (False, False, False)),
    ]


def test_a_restart_costs_no_heat_once_every_relay_is_off():
    rig = Rig(settings(mode="heat", setpoint=21, min_on_s=180, min_off_s=0))
    began = 0
    for second in range(400):
        on = rig.heat
        rests = rig.regulation.rests(rig.now_ms, False)
        assert rests == (not on), second
        # It may cost some where nobody can wait any longer, but no minimum time.
        patient = rig.regulation.rests(rig.now_ms, True)
        assert patient == (not on or rig.now_ms - began >= 180000), second
        rig.step(1000, 18 + second % 2 / 16)
        if rig.heat and not on:
            began = rig.now_ms
    assert rig.heat


def test_no_restart_while_another_relay_has_its_minimum_time():
    section = settings(
        mode="heat", setpoint=21, stage2={"pin": 27, "after_s": 60, "beyond": 1}, min_on_s=120
    )
    rig = Rig(section)
    found = []
    for second in range(700):
        rig.step(1000, 18 + second % 2 / 16)
        found.append((rig.heat, rig.heat2, rig.regulation.rests(rig.now_ms, True)))
    joined = [heat2 for _, heat2, _ in found].index(True)
    assert found[joined - 1][2] and not any(rests for _, _, rests in found[joined : joined + 120])
    assert found[joined + 120] == (True, True, True)


def test_no_restart_close_to_frost_whatever_is_on():
    rig = Rig(settings(mode="off", setpoint=21, frost=5, min_on_s=0, min_off_s=0))
    for temp_c, rests in ((8, True), (6.1, True), (5.9, False), (5.1, False), (3, False)):
        for n in range(5):
            rig.step(60000, temp_c + n / 100)
        assert rig.thermostat.fault is None
        for patient in (True, False):
            assert rig.regulation.rests(rig.now_ms, patient) == rests, temp_c
