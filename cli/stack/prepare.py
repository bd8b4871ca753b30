"""What has to be there before a stack starts, and may have to be fetched first."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from cli.stack import jars
from cli.stack.folders import cache_folder
from cli.stack.plan import Plan

MB = 1_000_000


def prepare(plan: Plan) -> None:
    """Fetch Kafka's jars where they are needed and not in the cache, saying so. Raises StackError."""
    if plan.kafka:
        return
    cache = cache_folder()
    wanted = jars.missing(cache)
    if not wanted:
        return
    total = sum(jar.size for jar in wanted)
    print(
        f"Kafka {jars.KAFKA_VERSION}: downloading {len(wanted)} files, {total / MB:.1f} MB, "
        f"from Maven Central into {cache} (once)",
        flush=True,
    )
    with _Display() as display:
        jars.fetch(cache, display.advance)


class _Display:
    """A bar on a terminal, a line for each quarter elsewhere."""

    def __init__(self) -> None:
        self._bar = sys.stdout.isatty()
        self._quarter = 0
        self._drawn = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> _Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            print(flush=True)

    def advance(self, done: int, total: int) -> None:
        """Show how far it is, in bytes."""
        text = f"  {done / MB:5.1f} of {total / MB:.1f} MB, {time.monotonic() - self._began:.0f} s"
        if self._bar:
            if time.monotonic() - self._drawn > 0.1 or done == total:
                self._drawn = time.monotonic()
                print("\r" + "█" * (24 * done // total) + "░" * (24 - 24 * done // total) + text, end="", flush=True)
        elif 4 * done // total > self._quarter:
            self._quarter = 4 * done // total
            print(text, flush=True)
