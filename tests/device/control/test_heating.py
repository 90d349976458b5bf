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
