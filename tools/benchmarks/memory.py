"""The RAM of a reading: while it waits in the buffer, and while it is taken."""

from tools.benchmarks import Job, Row


def rows(job: Job) -> list[Row]:
    """A buffered number, everything counted, and what taking one allocates."""
    job.note("RAM of a reading")
    found = job.inside("memory")
    one_float = found["float"]
    appended = found["appended"] - one_float
    return [
        Row(
            "RAM of a buffered number",
            found["ring"],
            "B",
            f"a dict in a list: {found['list']:.0f} B",
            10,
        ),
        Row(
            "heap to take and buffer a reading, beyond its float",
            found["taken_float"] - one_float,
            "B",
            f"a dict in a list: {appended:.0f} B; the float itself: {one_float:.0f} B",
            0,
        ),
        Row(
            "heap to take and buffer a whole number",
            found["taken_int"],
            "B",
            f"a dict in a list: {appended:.0f} B",
            0,
        ),
    ]
