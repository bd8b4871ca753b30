"""The only place that reads the time.

Outside production the clock can be set forward: the file that `MAKEGOOD_CLOCK_FILE` names holds by how many seconds
(`claims clock advance` writes it). Without the variable there is no such file, and the time is the machine's. A process
that is told that it is in production (`MAKEGOOD_PRODUCTION`, set in the image) does not start with one.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_LOOK_AGAIN_SECONDS = 0.2


class Clock:
    """The machine's time, plus what the file says. The file is looked at a few times a second at most."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._ahead = timedelta()
        self._looked = float("-inf")

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        if self._file is not None and time.monotonic() - self._looked >= _LOOK_AGAIN_SECONDS:
            self._looked = time.monotonic()
            self._ahead = ahead(self._file)
        return datetime.now(UTC) + self._ahead


def ahead(file: Path) -> timedelta:
    """By how much a clock file sets the time forward; nothing where there is none.

    Raises:
        ValueError: the file does not hold a whole number of seconds, 0 or more.
    """
    try:
        text = file.read_text("ascii").strip()
    except FileNotFoundError:
        return timedelta()
    if not text.isdigit():
        raise ValueError(f"{file} does not hold a number of seconds: {text!r}")
    return timedelta(seconds=int(text))


def in_production() -> bool:
    """Whether this process was told so (`MAKEGOOD_PRODUCTION`: anything but nothing, 0, false and no)."""
    return os.environ.get("MAKEGOOD_PRODUCTION", "").strip().lower() not in ("", "0", "false", "no")


def from_environment() -> Clock:
    """The clock of this process.

    Raises:
        ValueError: the time of a process in production was to be set forward.
    """
    named = os.environ.get("MAKEGOOD_CLOCK_FILE")
    if named and in_production():
        raise ValueError("MAKEGOOD_CLOCK_FILE is set, and so is MAKEGOOD_PRODUCTION: time is not set forward there")
    return Clock(Path(named) if named else None)


_clock = from_environment()


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return _clock.now()
