"""What `shared.arrays` writes is what Postgres reads."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.arrays import byte_strings, integers, texts, texts_or_null
from shared.db import Conn
from tests.conftest import MakeDatabase

ODD = [
    "",
    " ",
    "NULL",
    "null",
    "{}",
    "{a,b}",
    '"',
    '""',
    "\\",
    "\\\\",
    'a"b',
    ",",
    '","',
    "\\x00",
    "کالای معیوب",
    "é\n\t",
]


@pytest.fixture
async def conn(make_database: MakeDatabase) -> AsyncIterator[Conn]:
    made = await asyncpg.connect(await make_database([]), timeout=10)
    yield made
    await made.close()


@pytest.mark.parametrize("values", [[], *([one] for one in ODD), ODD, ODD[:3], ["a", "b"]], ids=repr)
async def test_texts(conn: Conn, values: list[str]) -> None:
    assert await conn.fetchval("SELECT $1::text::text[]", texts(values)) == values
    assert await conn.fetchval("SELECT $1::text::text[]", texts_or_null([None, *values])) == [None, *values]


async def test_integers_and_bytes(conn: Conn) -> None:
    for numbers in ([], [0], [None], [1, -1, None, 2**62]):
        assert await conn.fetchval("SELECT $1::text::bigint[]", integers(numbers)) == numbers
    for keys in ([], [b""], [b"\\x00", bytes(range(256)), b'"']):
        assert await conn.fetchval("SELECT $1::text::bytea[]", byte_strings(keys)) == keys
