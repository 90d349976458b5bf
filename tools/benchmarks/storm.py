"""A thousand devices that lose their broker together: how they come back."""

from tools.benchmarks import Job, Row

_BUDGETS = {"10": 250, "60": 100, "600": 100}  # tries a second, by the outage's seconds


def rows(job: Job) -> list[Row]:
    """By simulation of the link's own back-off; what a connection takes is not in it."""
    job.note("a connection storm")
    found = job.inside("storm")
    return [
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
