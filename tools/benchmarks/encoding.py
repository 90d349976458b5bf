"""The time and the heap that a feed of 100 points takes, against dictionaries and json.dumps."""

from tools.benchmarks import Job, Row, smallest

_TIMES = {"plain": 0.25, "compact": 1.0}  # at most, of each format
_HEAP = "256K"
_BLOCK = 32  # bytes, what the 64-bit port's heap is divided into
_MOST = 128 * 1024


def rows(job: Job) -> list[Row]:
    """For each of the two formats a ratio of times and one of heaps."""
    found = []
    job.note("time to encode 100 points")
    times = job.inside("encoding", "time", 20 if job.quick else 500)
    for form, budget in _TIMES.items():
        ours, dicts = times[form]["ours"], times[form]["dicts"]
        against = f"dicts + json.dumps: {dicts} µs; ours {ours} µs"
        name = f"time to encode 100 points, {form}"
        found.append(Row(name, ours / dicts, "×", against, budget, timing=True))
    for form in _TIMES:
        job.note(f"heap to encode 100 points, {form}")
        ours, dicts = (_peak(job, form, who) for who in ("ours", "dicts"))
        against = f"dicts + json.dumps: {dicts} B; ours {ours} B, and a buffer of 1.4 KiB for life"
        found.append(
            Row(f"peak heap to encode 100 points, {form}", ours / dicts, "×", against, 0.1)
        )
    return found


def _peak(job: Job, form: str, who: str) -> int:
    """Bytes of free heap, in one piece, without which it fails."""

    def need(who: str) -> int:
        def suffices(free: int) -> bool:
            return job.inside("encoding", "heap", form, who, free, heap=_HEAP)

        return smallest(0, _MOST, _BLOCK, suffices)

    return need(who) - need("nobody")
