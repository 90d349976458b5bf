"""How well the two regulators hold the temperature of the tests' simulated house."""

from tools import ROOT
from tools.benchmarks import Job, Row

_FIGURES = (
    ("overshoot after heating up by 5 K", "K"),
    ("RMS error of the room in a winter week", "K"),
    ("the same with sun and open windows", "K"),
    ("switchings of the heating", "/h"),
)


def rows(job: Job) -> list[Row]:
    """Each figure of the regulator `pi` against that of `hysteresis`; the same on any machine."""
    job.note("two regulators in a simulated house")
    found = job.inside("regulators", ROOT / "tests" / "device" / "helpers", 2 if job.quick else 7)
    return [
        Row(f"{name}, pi", pi, unit, "", peers={"hysteresis": hysteresis})
        for (name, unit), pi, hysteresis in zip(
            _FIGURES, found["pi"], found["hysteresis"], strict=True
        )
    ]
