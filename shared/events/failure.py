"""What is raised for an event that cannot be taken."""


class BadEvent(Exception):  # noqa: N818 - the contract's own word; it is a verdict on the input, not an accident
    """An input that the contract refuses.

    `path` is a JSONPath within the data (`$.lines[0].unit_price`; a missing member's own path; `$` for what is not JSON
    and for the envelope), `message` says in one sentence what is wrong and what would be right. `flaws` holds every
    (path, message) that was found, the first of them being the two above.
    """

    def __init__(self, path: str, message: str, flaws: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
        self.flaws = flaws or ((path, message),)
