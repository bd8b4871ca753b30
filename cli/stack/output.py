"""The lines of all processes: into one file each, and, coloured and prefixed, onto the terminal."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import sys
import threading
from pathlib import Path

FILE_BYTES = 10 * 1024 * 1024
QUEUED_LINES = 20_000
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
WIDTH = 20


class LogFile:
    """Appends lines; at 10 MiB the file becomes `<name>.1`, the one before that goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, line: str) -> None:
        """Append one line."""
        self._file.write(line + "\n")
        self._file.flush()
        if self._file.tell() > FILE_BYTES:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Terminal:
    """Prints from a thread of its own, so that a paused terminal or a pager holds up nobody.

    Lines beyond the queue are dropped and counted.
    """

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUED_LINES)
        self._dropped = 0
        self._colours: dict[str, int] = {}
        self._next = itertools.cycle(COLOURS)
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._thread = threading.Thread(target=self._print, name="terminal", daemon=True)
        self._thread.start()

    def show(self, source: str, line: str) -> None:
        """Print one line under the name of what said it."""
        colour = self._colours.setdefault(source.rpartition("-")[0] or source, 0) or self._colour(source)
        prefix = f"{source:<{WIDTH}} │ "
        if self._coloured:
            prefix = f"\033[{colour}m{prefix}\033[0m"
        try:
            if self._dropped:
                self._lines.put_nowait(
                    f"{'':<{WIDTH}} │ … {self._dropped} lines were not shown, they are in the log files"
                )
                self._dropped = 0
            self._lines.put_nowait(prefix + line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Print what is queued, for a second at most."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(1)

    def _colour(self, source: str) -> int:
        colour = next(self._next)
        self._colours[source.rpartition("-")[0] or source] = colour
        return colour

    def _print(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                print(line, flush=True)
            except (OSError, ValueError):
                return
