"""What of a queue is on its way."""


def in_flight(queue) -> int:
    """Feeds that were taken, and neither acknowledged nor released."""
    window = queue._backlog and queue._backlog.window
    return len(queue._live.in_flight) + (len(window.in_flight) if window else 0)
