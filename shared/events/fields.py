"""Constrained scalar types: identifiers, texts, phone numbers, amounts, rates, currencies, instants.

Each is a plain `str`, `int` or aware `datetime` in Python. Input that is already in its canonical ASCII form is judged
by Rust alone; anything else takes a detour through the Python functions here, which normalise it or refuse it. A
refused value carries one error whose type names the field kind, so that `shared.events.explain` can say what is wrong.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from shared.money import DECIMALS

ID_LENGTH: Final = 128
TEXT_LENGTH: Final = 10_000
AMOUNT_DIGITS: Final = 15
QUANTITY_MOST: Final = 10_000

_DIGITS: Final = {
    ord(digit): str(value) for digits in ("۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩") for value, digit in enumerate(digits)
}
_LETTERS: Final = {ord("ي"): "ی", ord("ك"): "ک"}

_UNSAFE: Final = re.compile("[\x00\ud800-\udfff]")
# An id ends up in record keys, log lines and mail headers: a line break or another control sign there is never meant.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DECIMAL: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_INSTANT: Final = re.compile(
    r"((?:19|[2-8][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)


def normalise_id(value: str) -> str:
    """NFC, Persian and Arabic digits as ASCII, Arabic ي/ك as Persian ی/ک. Raises `ValueError` for what is no id."""
    text = unicodedata.normalize("NFC", value).translate(_DIGITS | _LETTERS)
    if not text.strip() or len(text) > ID_LENGTH or _CONTROL.search(text):
        raise ValueError("not an id")
    return text


def normalise_text(value: str) -> str:
    """NFC and nothing else. Raises `ValueError` for NUL, lone surrogates and more than 10,000 characters."""
    text = value if unicodedata.is_normalized("NFC", value) else unicodedata.normalize("NFC", value)
    if len(text) > TEXT_LENGTH or _UNSAFE.search(text):
        raise ValueError("not a text")
    return text


def normalise_words(value: str) -> str:
    """As `normalise_text`, and not blank."""
    text = normalise_text(value)
    if not text.strip():
        raise ValueError("blank")
    return text


def normalise_phone(value: str) -> str:
    """As `normalise_text` with digits and ي/ك read as in ids, at most 128 characters; the form is not judged."""
    text = normalise_text(value).translate(_DIGITS | _LETTERS)
    if len(text) > ID_LENGTH:
        raise ValueError("not a phone number")
    return text


def normalise_amount(value: str) -> str:
    """A decimal string without sign, with ASCII digits and no leading zeros, of at most 15 digits."""
    match = _DECIMAL.fullmatch(value.translate(_DIGITS))
    if match is None:
        raise ValueError("not a decimal string")
    whole, fraction = match[1].lstrip("0") or "0", match[2]
    if len(whole) + len(fraction or "") > AMOUNT_DIGITS:
        raise ValueError("too many digits")
    return whole if fraction is None else f"{whole}.{fraction}"


def normalise_rate(value: str) -> str:
    """As an amount, and above 0."""
    rate = normalise_amount(value)
    if not rate.strip("0."):
        raise ValueError("not above 0")
    return rate


def normalise_instant(value: str) -> datetime:
    """RFC 3339 with an offset → aware datetime. A leap second is read as the second after it, as POSIX time does;
    digits beyond microseconds are dropped. Raises `ValueError`; years before 1900 and from 9000 on are refused, so that
    no sum with a window or a deadline, and no calendar, can overflow."""
    match = _INSTANT.fullmatch(value)
    if match is None:
        raise ValueError("not an instant")
    day, minute, second, fraction, offset = match.groups()
    leap = second == "60"
    offset = "+00:00" if offset in "Zz" else offset
    if offset[4:] > "59":
        raise ValueError("not an instant")
    at = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{(fraction or '')[:7]}{offset}")
    if not leap:
        return at
    utc = at.astimezone(UTC)
    if (utc.hour, utc.minute) != (23, 59) or (at.year, at.month, at.day) == (8999, 12, 31):
        raise ValueError("not an instant: leap seconds come at the end of a UTC day")
    return at.replace(microsecond=0) + timedelta(seconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of string: what Rust may wave through, what Python makes of the rest, how the JSON Schema says it."""

    name: str
    shortcut: core_schema.StringSchema
    normalise: Callable[[str], str]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        detour = core_schema.no_info_after_validator_function(self.normalise, core_schema.str_schema(strict=True))
        return core_schema.custom_error_schema(
            core_schema.union_schema([self.shortcut, detour], mode="left_to_right"),
            custom_error_type=self.name,
            custom_error_message=f"not a valid {self.name}",
            serialization=core_schema.simple_ser_schema("str"),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.schema)


def _shortcut(pattern: str, most: int | None = None) -> core_schema.StringSchema:
    return core_schema.str_schema(strict=True, pattern=pattern, max_length=most)


_ANY_DIGIT: Final = "[0-9۰-۹٠-٩]"
_PLAIN_AMOUNT: Final = r"(?:0|[1-9][0-9]{0,14})|(?:0|[1-9][0-9]{0,10})\.[0-9]{1,4}"

Id = Annotated[
    str,
    Kind(
        "id",
        _shortcut(r"^[!-~][ -~]*$", ID_LENGTH),
        normalise_id,
        {
            "type": "string",
            "minLength": 1,
            "maxLength": ID_LENGTH,
            "pattern": r"\S",
            "description": "An id: not blank, no control characters; Persian and Arabic digits and ي/ك are normalised.",
        },
    ),
]
Text = Annotated[
    str,
    Kind(
        "text", _shortcut("^[\x01-\x7f]*$", TEXT_LENGTH), normalise_text, {"type": "string", "maxLength": TEXT_LENGTH}
    ),
]
Words = Annotated[
    str,
    Kind(
        "words",
        _shortcut("^[!-~][\x01-\x7f]*$", TEXT_LENGTH),
        normalise_words,
        {"type": "string", "minLength": 1, "maxLength": TEXT_LENGTH, "pattern": r"\S", "description": "Not blank."},
    ),
]
Phone = Annotated[
    str,
    Kind("phone", _shortcut(r"^[ -~]*$", ID_LENGTH), normalise_phone, {"type": "string", "maxLength": ID_LENGTH}),
]
Amount = Annotated[
    str,
    Kind(
        "amount",
        _shortcut(f"^(?:{_PLAIN_AMOUNT})$"),
        normalise_amount,
        {
            "type": "string",
            "pattern": rf"^{_ANY_DIGIT}+(\.{_ANY_DIGIT}+)?$",
            "description": "A decimal string in the currency's main unit, 0 or above, of at most 15 digits and with no "
            "more decimals than the currency has.",
        },
    ),
]
Rate = Annotated[
    str,
    Kind(
        "rate",
        _shortcut(r"^[1-9][0-9]{0,14}$"),
        normalise_rate,
        {
            "type": "string",
            "pattern": rf"^{_ANY_DIGIT}+(\.{_ANY_DIGIT}+)?$",
            "description": "A decimal string above 0, of at most 15 digits.",
        },
    ),
]
# What the pipeline itself writes: sums of amounts, so up to three digits longer than a single one.
SignedAmount = Annotated[
    str,
    Field(
        pattern=r"^(-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,4})?)$",
        description="A decimal string in the currency's main unit; may be negative.",
    ),
]
PaidAmount = Annotated[
    str,
    Field(
        pattern=r"^((0|[1-9][0-9]{0,17})(\.[0-9]{1,4})?)$",
        description="A decimal string in the currency's main unit, 0 or above.",
    ),
]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MOST)]


class _Currency:
    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.literal_schema(sorted(DECIMALS)),
            custom_error_type="currency",
            custom_error_message="not an ISO 4217 currency code",
            serialization=core_schema.simple_ser_schema("str"),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "enum": sorted(DECIMALS), "description": "ISO 4217 code of money in use."}


class _Instant:
    def __get_pydantic_core_schema__(self, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        shortcut = core_schema.chain_schema(
            [
                core_schema.str_schema(
                    strict=True,
                    pattern=r"^(?:19|[2-8][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-5][0-9])$",
                ),
                core_schema.datetime_schema(strict=False, tz_constraint="aware"),
            ]
        )
        detour = core_schema.no_info_after_validator_function(normalise_instant, core_schema.str_schema(strict=True))
        text = core_schema.union_schema([shortcut, detour], mode="left_to_right")
        given = core_schema.datetime_schema(strict=True, tz_constraint="aware")
        return core_schema.custom_error_schema(
            core_schema.json_or_python_schema(text, core_schema.union_schema([given, text], mode="left_to_right")),
            custom_error_type="instant",
            custom_error_message="not an RFC 3339 instant with an offset",
            serialization=core_schema.simple_ser_schema("datetime"),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "date-time", "description": "An instant: RFC 3339 with an offset."}


Currency = Annotated[str, _Currency()]
Instant = Annotated[datetime, _Instant()]
