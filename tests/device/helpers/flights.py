"""What of a queue is on its way."""


def in_flight(queue) -> int:
    """Feeds that were taken, and neither acknowledged nor released."""
    backlog = queue._backlog
    return len(queue._live.in_flight) + (len(backlog.window.in_flight) if backlog else 0)
