"""The one way in which an event is not taken."""


class Unacceptable(ValueError):  # noqa: N818 - named for what the event is
    """An event that cannot be taken: a dead letter. `path` is JSONPath within its data."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
