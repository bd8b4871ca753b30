"""What pydantic does not look at in JSON: members given twice, depth, NaN, NUL and lone surrogates; and the digest by
which two data are told to be the same.

The usual record takes the short way (`check` counts brackets and looks for suspicious escapes, `digest` has msgspec
read it); only where something is found is it read again, carefully, to say where.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NoReturn

import msgspec
import ormsgpack

from shared.events.explain import json_path
from shared.events.failure import BadEvent

DEPTH_MOST: Final = 32

_UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Constant:
    """`NaN`, `Infinity` or `-Infinity`: what Python reads and JSON has not."""

    text: str


class _Object(dict[str, object]):
    """A JSON object that remembers which of its members came twice."""

    repeated: str | None = None


class _NoCanonicalFormError(ValueError):
    """A member that is there twice, or a number that is none."""


def check(data: bytes) -> None:
    """Raise `BadEvent` for what is deeper than 32 or holds NUL or a lone surrogate, in unknown members too.

    What is no JSON at all passes: the validator says it better.
    """
    escaped = b"\\" in data and (b"\\u0000" in data or b"\\ud" in data or b"\\uD" in data)
    if escaped or data.count(b"{") + data.count(b"[") > DEPTH_MOST:
        try:
            tree = read(data)
        except ValueError:
            return
        refuse_flaws(tree)


def digest(data: bytes) -> bytes:
    """SHA-256 of the data as it came, blind to the order of members, white space and the spelling of strings and
    numbers (`"\\u0041"` is `"A"`, `1.0` is `1`), as canonical JSON (RFC 8785) is; unknown members count.

    Raises `BadEvent` for a member given twice (RFC 8785 has no form for it, and readers differ in which one they take),
    for NaN and Infinity, and for what is not JSON. What is hashed is the sorted value as MessagePack: it tells the same
    values apart in a third of the time.
    """
    try:
        tree = _read_plain(data)
        if tree is _NOT_PLAIN:
            tree = _ONCE.decode(data.decode("utf-8"))
        try:
            packed = ormsgpack.packb(tree, option=ormsgpack.OPT_SORT_KEYS)
        except ormsgpack.MsgpackEncodeError:  # an integer of more than 64 bits, in an unknown member
            packed = json.dumps(tree, sort_keys=True).encode()
    except _NoCanonicalFormError:
        refuse_flaws(read(data))
        raise
    except (ValueError, RecursionError) as error:
        raise BadEvent("$", f"not JSON: {error!s:.200}") from None
    return sha256(packed).digest()


def _read_plain(data: bytes) -> object:
    """The value of what is plainly JSON with each member once; `_NOT_PLAIN` for what has to be looked at closely.

    msgspec takes the last of two members of a name. That none was dropped shows in the colons: each member has one and
    those in texts stay, so the value written again has as many as came. Only an escaped one could make up for a loss.
    """
    if b"\\" in data and b"\\u003" in data:
        return _NOT_PLAIN
    try:
        tree = _PLAIN.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOT_PLAIN
    return tree if _PLAIN_AGAIN.encode(tree).count(b":") == data.count(b":") else _NOT_PLAIN


def read(data: bytes) -> object:
    """The JSON value with everything that `refuse_flaws` looks for. Raises `ValueError` for what is not JSON, and
    `BadEvent` for what is far too deep."""
    try:
        tree: object = _CAREFUL.decode(data.decode("utf-8"))
    except RecursionError:
        raise BadEvent("$", f"is more than {DEPTH_MOST} levels deep") from None
    return tree


def refuse_flaws(tree: object) -> None:
    """Raise `BadEvent` at the first flaw of a value that `read` gave, in the order of the text."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            _refuse_text(path, value)
        elif isinstance(value, _Constant):
            raise BadEvent(json_path(path), f"{value.text} is not JSON")
        elif isinstance(value, dict | list):
            if len(path) >= DEPTH_MOST:
                raise BadEvent(json_path(path), f"is more than {DEPTH_MOST} levels deep")
            if isinstance(value, _Object):
                _refuse_members(path, value)
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend(reversed([((*path, step), member) for step, member in inside]))


def _refuse_members(path: tuple[str | int, ...], value: _Object) -> None:
    if value.repeated is not None:
        raise BadEvent(json_path((*path, value.repeated)), "is there twice")
    for name in value:
        _refuse_text(path, name)


def _refuse_text(path: tuple[str | int, ...], text: str) -> None:
    if match := _UNSAFE.search(text):
        raise BadEvent(json_path(path), f"holds a {'NUL character' if match[0] == chr(0) else 'lone surrogate'}")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NoCanonicalFormError("a member is there twice")
    return members


def _remembering(pairs: list[tuple[str, object]]) -> _Object:
    members = _Object()
    for name, value in pairs:
        if name in members and members.repeated is None:
            members.repeated = name
        members[name] = value
    return members


def _number(text: str) -> int | float | str:
    number = float(text)
    if number.is_integer():
        return int(number)
    return number if number - number == 0 else text


def _refuse_constant(text: str) -> NoReturn:
    raise _NoCanonicalFormError(f"{text} is not JSON")


_NOT_PLAIN: Final = object()
_PLAIN: Final = msgspec.json.Decoder(float_hook=_number)
_PLAIN_AGAIN: Final = msgspec.json.Encoder()
_ONCE: Final = json.JSONDecoder(object_pairs_hook=_once, parse_float=_number, parse_constant=_refuse_constant)
_CAREFUL: Final = json.JSONDecoder(object_pairs_hook=_remembering, parse_constant=_Constant)
