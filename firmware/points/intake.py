"""Where values come into the buffer: readings by their property's index, others by its name."""


class Intake:
    def __init__(self, queue, names: list, after_put):
        """`names`: of the queue's properties, in their order. `after_put()`: called after each."""
        self._queue = queue
        self._index = {name: i for i, name in enumerate(names)}
        self._after_put = after_put

    def put(self, index: int, value, t_ms: "int | None" = None) -> None:
        """As Queue.put."""
        self._queue.put(index, value, t_ms)
        self._after_put()

    def tell(self, name: str, value, t_ms: "int | None" = None) -> None:
        """The same, of the property with that name."""
        self.put(self._index[name], value, t_ms)

    def has(self, name: str) -> bool:
        """Whether this device has that property."""
        return name in self._index
