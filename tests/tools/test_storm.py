"""A thousand devices that lose their broker together come back spread out.

The table, and the tries of every five seconds, are written to build/storm.md.
"""

import pytest

from tools import ROOT
from tools.benchmarks import Job

_NAMES = {
    "ours": "the firmware's: in rounds of 1 s to 3 min",
    "slow": "the same, where a try takes 3 s",
    "jitter": "exponential, full jitter, 1 s to 5 min",
    "doubling": "exponential, without jitter",
    "robust": "umqtt.robust: every 2 s",
}
_OUTAGES = ("0", "6", "10", "60", "600")
_BAR_S = 5


@pytest.fixture(scope="module")
def storms(tmp_path_factory):
    """[strategy][seconds of the outage]: what the broker saw."""
    job = Job(tmp_path_factory.mktemp("storm"), True, print)
    found = job.inside("storm")
    report = ROOT / "build" / "storm.md"
    report.parent.mkdir(exist_ok=True)
    report.write_text(_report(found))
    return found


# The busiest of some seconds, each of which has 364, 182, 23 and 6 tries in the mean; the bounds
# are more than five standard deviations from that. The round in which they come back, and what is
# left of the one before it, is the longest wait.
@pytest.mark.parametrize(
    ("outage", "busiest", "half_s", "all_s"),
    [("6", 450, 2, 2.8), ("10", 250, 4, 6.3), ("60", 70, 30, 57), ("600", 40, 110, 177)],
)
def test_they_come_back_spread_out(storms, outage, busiest, half_s, all_s):
    ours = storms["ours"][outage]
    assert ours["busiest_back"] <= busiest
    assert ours["half_s"] <= half_s
    assert ours["all_s"] <= all_s
    assert storms["doubling"][outage]["busiest_back"] == 1000, "what jitter is for"


def test_long_tries_are_spread_out_as_well(storms):
    assert storms["slow"]["10"]["busiest_back"] <= 290, "210 in the mean"
    assert storms["slow"]["6"]["all_s"] <= 5


def test_after_a_moment_they_are_back_within_a_second(storms):
    assert storms["ours"]["0"]["all_s"] <= 1


def test_a_broker_that_is_away_is_left_alone(storms):
    for outage in ("10", "60", "600"):
        down = storms["ours"][outage]["attempts"][: int(outage)]
        assert max(down) == down[0] < 1500, "only the first tries come together"
        assert all(tries < 450 for tries in down[1:])
        assert all(tries < 250 for tries in down[10:])
    assert storms["ours"]["600"]["tries"] < 15 < storms["robust"]["600"]["tries"]


def _report(storms) -> str:
    lines = [
        "# A thousand devices lose their broker at the same moment",
        "",
        "Simulated: a try fails while the broker is away, and takes no time unless it says so.",
        "",
        "| back-off | broker away | tries in the busiest second: away | back | tries a device"
        " | half are back after | 90 % | all |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, words in _NAMES.items():
        for outage in _OUTAGES:
            storm = storms[name][outage]
            lines.append(
                f"| {words} | {outage} s | {storm['busiest_down']} | {storm['busiest_back']}"
                f" | {storm['tries']:.1f} | {storm['half_s']:.1f} s | {storm['most_s']:.1f} s"
                f" | {storm['all_s']:.1f} s |"
            )
    lines += [
        "",
        "The firmware's tries a second, when the broker is away for a minute:",
        "",
        "```",
    ]
    attempts = storms["ours"]["60"]["attempts"]
    for start in range(0, 60 + 120, _BAR_S):
        rate = sum(attempts[start : start + _BAR_S]) / _BAR_S
        state = "away" if start < 60 else "back"
        lines.append(f"{start:4} s {state} {rate:6.1f} {'#' * round(rate / 8)}")
    return "\n".join([*lines, "```", ""])
