"""The wire between the services and Postgres, tried on a server that answers each line with its length."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.nemesis import KINDS, STREAMS
from tests.faults.wire import COMMIT, HOST, Wire

STARTUP = b"\0\0\0\x2a\0\x03\0\0user\0me\0database\0claims\0\0"


class Server:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            self.heard += data
            writer.write(b"answer")
        writer.close()


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    wire = Wire(tmp_path / "address")
    yield wire
    wire.close()


@asynccontextmanager
async def connected(
    wire: Wire, folder: Path
) -> AsyncIterator[tuple[Server, asyncio.StreamReader, asyncio.StreamWriter]]:
    server = Server()
    listening = await asyncio.start_server(server.serve, HOST, 0)
    (folder / "address").write_text(f"{HOST}:{listening.sockets[0].getsockname()[1]}")
    reader, writer = await asyncio.open_connection(HOST, wire.port)
    writer.write(STARTUP)
    assert await asyncio.wait_for(reader.read(100), 5) == b"answer"
    try:
        yield server, reader, writer
    finally:
        writer.close()
        listening.close()


async def test_it_forwards_both_ways(wire: Wire, tmp_path: Path) -> None:
    async with connected(wire, tmp_path) as (server, reader, writer):
        writer.write(b"Q" + COMMIT)
        assert await asyncio.wait_for(reader.read(100), 5) == b"answer"
        assert server.heard == STARTUP + b"Q" + COMMIT


async def test_cut_before_the_server_has_read_the_commit(wire: Wire, tmp_path: Path) -> None:
    async with connected(wire, tmp_path) as (server, reader, writer):
        cut = wire.cut("claims", "before", 1)
        writer.write(b"Q" + COMMIT)
        assert await asyncio.wait_for(reader.read(100), 5) == b"", "the connection is closed"
        assert server.heard == STARTUP
        assert (cut.left, cut.done) == (0, 1)


async def test_cut_after_the_server_has_carried_it_out(wire: Wire, tmp_path: Path) -> None:
    async with connected(wire, tmp_path) as (server, reader, writer):
        wire.cut("claims", "after", 1)
        writer.write(b"Q" + COMMIT)
        assert await asyncio.wait_for(reader.read(100), 5) == b"", "its answer is not heard"
        assert server.heard.endswith(COMMIT)


@pytest.mark.parametrize("other", ["another database", "spared"])
async def test_who_is_not_meant_is_not_cut(wire: Wire, tmp_path: Path, other: str) -> None:
    async with connected(wire, tmp_path) as (_, reader, writer):
        wire.cut("claims" if other == "spared" else "orders", "before", 1)
        wire.spare("claims")
        writer.write(b"Q" + COMMIT)
        assert await asyncio.wait_for(reader.read(100), 5) == b"answer"


async def test_slow_answers(wire: Wire, tmp_path: Path) -> None:
    async with connected(wire, tmp_path) as (_, reader, writer):
        wire.slow("claims", 0.2)
        began = time.monotonic()
        writer.write(b"Q")
        assert await asyncio.wait_for(reader.read(100), 5) == b"answer"
        assert time.monotonic() - began >= 0.2


def test_the_default_streams_hold_every_kind() -> None:
    assert {kind for stream in STREAMS for kind in stream} == set(KINDS)
    assert len(KINDS) == len(set(KINDS)) == 14
