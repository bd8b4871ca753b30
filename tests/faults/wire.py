"""A wire between the services and Postgres that the nemesis can slow down, or cut in the middle of a COMMIT.

The services of a fault run connect through it (`tests/faults/crashing.py` sees to that), so that what breaks is a
connection, not a piece of the product.
"""

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HOST = "127.0.0.1"
CHUNK = 64 * 1024
COMMIT = b"COMMIT;\0"
Side = Literal["before", "after"]
"""Cut before the server has read the COMMIT, or after it has carried it out and before its answer is heard."""


@dataclass
class Cut:
    """Commits of one database that are to be cut, and how many were."""

    side: Side
    left: int
    done: int = 0


@dataclass
class _Line:
    """One connection; its database is learned from what the client says first."""

    database: str = ""
    swallow: bool = False
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


class Wire:
    """Listens on `port` of the loopback and forwards to the address (host:port) that stands in the file `target`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._slow: dict[str, float] = {}
        self._cuts: dict[str, Cut] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, HOST, 0), self._loop).result(
            10
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    def slow(self, database: str, seconds: float) -> None:
        """Hold back each of the server's answers to a database's clients for so long; 0 ends it."""
        self._slow[database] = seconds

    def cut(self, database: str, side: Side, times: int) -> Cut:
        """Cut the next so many commits of a database; the answer counts what was done."""
        self._cuts[database] = Cut(side, times)
        return self._cuts[database]

    def spare(self, database: str) -> None:
        """Cut no more commits."""
        self._cuts.pop(database, None)

    def close(self) -> None:
        """Stop listening, cut all connections."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _shut(self) -> None:
        self._server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        line = _Line(writers=[to_client])
        try:
            host, _, port = self._target.read_text().strip().rpartition(":")
            server, to_server = await asyncio.open_connection(host, int(port))
            line.writers.append(to_server)
            ways = [
                asyncio.ensure_future(self._there(line, client, to_server)),
                asyncio.ensure_future(self._back(line, server, to_client)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            return  # the server is down; the client hears so as its connection is closed
        finally:
            line.close()

    async def _there(self, line: _Line, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await client.read(CHUNK):
                if not line.database:
                    line.database = _database_of(data)
                cut = self._cuts.get(line.database)
                if cut is not None and COMMIT in data and cut.left > 0:
                    cut.left -= 1
                    cut.done += 1
                    if cut.side == "before":
                        return
                    line.swallow = True
                to_server.write(data)
                await to_server.drain()

    async def _back(self, line: _Line, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await server.read(CHUNK):
                if line.swallow:
                    return
                if seconds := self._slow.get(line.database, 0.0):
                    await asyncio.sleep(seconds)
                to_client.write(data)
                await to_client.drain()


def _database_of(startup: bytes) -> str:
    """The database that a startup packet names; "" for any other packet."""
    _, found, rest = startup.partition(b"\0database\0")
    return rest.partition(b"\0")[0].decode() if found else ""
