"""People who read the console: each asks for a page, reads it whole, pauses, and asks for the next one.

A client of its own, on bare streams, in a process of its own: on a machine with two cores a comfortable client would be
a good part of what it measures. `python -m bench.readers` takes a `Reading` as JSON on stdin and gives seconds as JSON.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlsplit

import uvloop

LIMIT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read: `kinds` names groups of paths, each reader takes them in turn and a random path of each.
    `watching`: every reader keeps the live figures of the Now page open, too."""

    address: str
    cookie: str
    users: int
    pause: float
    seconds: float
    kinds: dict[str, list[str]]
    watching: bool


class Refused(Exception):  # noqa: N818 - read as a sentence
    """The console answered with something other than a page."""


class Reader:
    """One person: a connection that is kept, and a second one for the live figures."""

    def __init__(self, reading: Reading, number: int) -> None:
        parts = urlsplit(reading.address)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._reading = reading
        self._chance = random.Random(number)  # noqa: S311 - an order of pages, no secret
        self._number = number
        self.took: dict[str, list[float]] = {kind: [] for kind in reading.kinds}
        self.live = 0

    async def read(self, until: float) -> None:
        """Ask for page after page until the instant `until` (monotonic)."""
        # Spread over the pause, as people are.
        await asyncio.sleep(self._reading.pause * self._number / self._reading.users)
        streams = await asyncio.open_connection(self._host, self._port)
        kinds = list(self._reading.kinds)
        n = self._number
        try:
            while time.monotonic() < until:
                kind = kinds[n % len(kinds)]
                path = self._chance.choice(self._reading.kinds[kind])
                started = time.perf_counter()
                async with asyncio.timeout(LIMIT):
                    await self._page(*streams, path)
                self.took[kind].append(time.perf_counter() - started)
                n += 1
                if self._reading.pause:
                    await asyncio.sleep(self._reading.pause)
        finally:
            streams[1].close()

    async def watch(self, until: float) -> None:
        """Keep the live figures open, as a browser on the Now page does, and count what comes."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._request("/now/live", "text/event-stream"))
            while (left := until - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left):
                        line = await reader.readline()
                except TimeoutError:
                    return
                if not line:
                    raise Refused("the live figures ended")
                self.live += line.startswith(b"event: figures")
        finally:
            writer.close()

    def _request(self, path: str, accept: str) -> bytes:
        head = (
            f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\naccept: {accept}\r\ncookie: {self._reading.cookie}\r\n\r\n"
        )
        return head.encode()

    async def _page(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bytes:
        writer.write(self._request(path, "text/html"))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        if not head.startswith(b"http/1.1 200"):
            raise Refused(f"{path}: {head.splitlines()[0].decode()}")
        return body


async def read(reading: Reading) -> dict[str, object]:
    """All readers at once; the seconds of each page by kind, and how many live figures came."""
    readers = [Reader(reading, number) for number in range(reading.users)]
    until = time.monotonic() + reading.seconds
    async with asyncio.TaskGroup() as group:
        for one in readers:
            group.create_task(one.read(until))
            if reading.watching:
                group.create_task(one.watch(until))
    return {
        "took": {kind: [s for one in readers for s in one.took[kind]] for kind in reading.kinds},
        "live": sum(one.live for one in readers),
    }


async def apart(reading: Reading) -> tuple[dict[str, list[float]], int]:
    """`read` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.readers", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(reading.seconds + 2 * LIMIT):
        out, _ = await process.communicate(json.dumps(asdict(reading)).encode())
    if process.returncode:
        raise Refused(f"the readers ended with {process.returncode}")
    found = json.loads(out)
    return found["took"], found["live"]


if __name__ == "__main__":
    json.dump(uvloop.run(read(Reading(**json.load(sys.stdin)))), sys.stdout)
