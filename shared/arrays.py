"""Arrays as Postgres reads them from text.

asyncpg looks at each element of a list by two abstract base classes before it writes it, which is most of what a bulk
statement of short values costs. So long lists of short values go as one text, and the statement says
`$1::text::text[]`.
"""

from collections.abc import Collection, Iterable


def texts(values: Collection[str]) -> str:
    """A `text[]` without nulls."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join(_escaped(value) for value in values)
    return f'{{"{joined}"}}'


def texts_or_null(values: Iterable[str | None]) -> str:
    """A `text[]`, its nulls for None."""
    return "{" + ",".join("NULL" if value is None else f'"{_escaped(value)}"' for value in values) + "}"


def integers(values: Iterable[int | None]) -> str:
    """An `int[]` or `bigint[]`, its nulls for None."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def byte_strings(values: Collection[bytes]) -> str:
    """A `bytea[]` of short values without nulls."""
    return '{"\\\\x' + '","\\\\x'.join(map(bytes.hex, values)) + '"}' if values else "{}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
