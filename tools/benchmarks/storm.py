"""A thousand devices that lose their broker together: how they come back."""

from tools.benchmarks import Job, Row

# Tries a second, by the outage's seconds; none after the shortest one, as the budget of the wait
# asks for a thousand tries in three seconds.
_BUDGETS = {"6": None, "10": 250, "60": 100, "600": 100}
_WAIT_S = {"6": 3}


def rows(job: Job) -> list[Row]:
    """By simulation of the link's own back-off."""
    job.note("a connection storm")
    found = job.inside("storm")
    busiest = [
        Row(
            f"busiest second after {outage_s} s without broker, 1000 devices",
            found["ours"][outage_s]["busiest_back"],
            "tries",
            "",
            budget,
            peers={"umqtt.robust, every 2 s": found["robust"][outage_s]["busiest_back"]},
        )
        for outage_s, budget in _BUDGETS.items()
    ]
    slow = found["slow"]["10"]["busiest_back"]
    busiest.append(Row("the same after 10 s, where a try takes 3 s", slow, "tries", ""))
    waits = [
        Row(
            f"wait for the next try after {outage_s} s without broker, {which}",
            found["ours"][outage_s][key],
            "s",
            f"exponential, full jitter: {found['jitter'][outage_s][key]:.1f} s",
            budget,
        )
        for outage_s in ("6", "10")
        for which, key, budget in (
            ("median", "half_s", None),
            ("longest", "all_s", _WAIT_S.get(outage_s)),
        )
    ]
    return busiest + waits
