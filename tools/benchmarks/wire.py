"""Bytes on the wire for each point."""

from tools.benchmarks import Job, Row


def rows(job: Job) -> list[Row]:
    """Of one property with a 5 s period; MQTT packets included, TLS and TCP not."""
    job.note("bytes on the wire")
    found = job.inside("wire")
    alone = f"umqtt.simple, a feed for each point: {found['one_by_one']:.0f} B"
    return [
        Row("wire per point, compact, full feeds of 100", found["compact"], "B", alone, 26),
        Row("wire per point, plain, full feeds of 100", found["plain"], "B", alone),
        Row("wire per point, compact, 3 in a feed (10 s)", found["compact_3"], "B", alone),
    ]
