"""From a validator's error to what the sender is told: a JSONPath and a sentence."""

import math
import re
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.events.failure import BadEvent
from shared.events.fields import AMOUNT_DIGITS, ID_LENGTH, TEXT_LENGTH

_PLAIN_MEMBER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHOWN: Final = 60
_FLAWS_KEPT: Final = 20


def json_path(steps: tuple[int | str, ...]) -> str:
    """`("lines", 0, "unit_price")` → `$.lines[0].unit_price`."""
    path = "$"
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif _PLAIN_MEMBER.fullmatch(step):
            path += f".{step}"
        else:
            escaped = step.replace("\\", "\\\\").replace("'", "\\'")
            path += f"['{escaped}']"
    return path


def bad_event(error: ValidationError, value: bytes) -> BadEvent:
    """What the sender of `value` is told of the validator's errors."""
    flaws = tuple(_flaw(details) for details in error.errors(include_url=False)[:_FLAWS_KEPT])
    path, message = flaws[0]
    return BadEvent(path, message, flaws)


def _flaw(details: ErrorDetails) -> tuple[str, str]:
    path = json_path(details["loc"])
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "flaw":
        return f"{path}.{context['path']}", context["message"]
    if kind == "literal_error":
        return path, f"{_shown(given)} is none of {context['expected']}"
    explain = _EXPLANATIONS.get(kind)
    return path, explain(given) if explain else _MESSAGES.get(kind, "{}").format(details["msg"], **context)


def _shown(given: object) -> str:
    text = repr(given)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _not_a_string(given: object, wanted: str) -> str | None:
    if isinstance(given, str):
        return None
    if given is None:
        return f"is null where {wanted} is needed"
    if isinstance(given, bool):
        return f"is a truth value where {wanted} is needed"
    if isinstance(given, float) and not math.isfinite(given):
        return f"{'NaN' if math.isnan(given) else 'Infinity'} is not JSON, and {wanted} is needed"
    if isinstance(given, int | float):
        return f"is a JSON number where {wanted} is needed: write it in quotes"
    return f"is {'a list' if isinstance(given, list) else 'an object'} where {wanted} is needed"


def _amount(given: object) -> str:
    complaint = _not_a_string(given, "a decimal string")
    if complaint is not None or not isinstance(given, str):
        return complaint or ""
    for suspicious, what in _BAD_AMOUNTS:
        if suspicious.match(given):
            return f"{_shown(given)} {what}"
    return f'{_shown(given)} is not a decimal string such as "11700000" or "12.50"'


_BAD_AMOUNTS: Final = tuple(
    (re.compile(pattern.replace("#", "[0-9۰-۹٠-٩]"), re.IGNORECASE | re.ASCII), what)
    for pattern, what in (
        (r"\s*\Z", "is blank where a decimal string is needed"),
        (r"[+-]?(nan|inf|infinity)\Z", "is not a number"),
        (r"[-−]", "is negative, which makes no sense here"),
        (r"\+", "has a sign: write the digits alone"),
        (r"(#|\.)*[,٬،'’_]|(#|\.)*# +#", "has a thousands mark: write the digits alone"),
        (r"(#|\.)*e[+-]?#+\Z", "has an exponent: write all digits"),
        (r"#+(\.#+)?\Z", f"has more than {AMOUNT_DIGITS} digits"),
    )
)


def _rate(given: object) -> str:
    if isinstance(given, str) and given and not given.strip("0."):
        return "a rate must be above 0"
    return _amount(given)


def _currency(given: object) -> str:
    complaint = _not_a_string(given, "an ISO 4217 currency code")
    if complaint is not None:
        return complaint
    if given == "IRT":
        return "IRT (toman) is not an ISO 4217 currency code: give rials as IRR, ten to a toman"
    return f"{_shown(given)} is not an ISO 4217 currency code such as IRR, VND or USD"


def _instant(given: object) -> str:
    wanted = "an RFC 3339 instant with an offset"
    complaint = _not_a_string(given, wanted)
    if complaint is not None or not isinstance(given, str):
        return complaint or ""
    if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?", given):
        return f"{_shown(given)} is a local time: an offset such as +03:30 or Z is needed"
    return f'{_shown(given)} is not {wanted}, such as "2026-11-01T09:00:00+03:30"'


def _text_of(wanted: str, most: int, blank: bool) -> Callable[[object], str]:
    def explain(given: object) -> str:
        complaint = _not_a_string(given, wanted)
        if complaint is not None or not isinstance(given, str):
            return complaint or ""
        if not blank and not given.strip():
            return f"is blank where {wanted} is needed"
        if "\x00" in given:
            return "holds a NUL character"
        if re.search("[\ud800-\udfff]", given):
            return "holds a lone surrogate"
        if len(given) > most:
            return f"has more than {most} characters"
        return "holds a control character"

    return explain


_EXPLANATIONS: Final[dict[str, Callable[[object], str]]] = {
    "amount": _amount,
    "rate": _rate,
    "currency": _currency,
    "instant": _instant,
    "id": _text_of("an id", ID_LENGTH, blank=False),
    "words": _text_of("a text", TEXT_LENGTH, blank=False),
    "text": _text_of("a text", TEXT_LENGTH, blank=True),
    "phone": _text_of("a phone number", ID_LENGTH, blank=True),
}

_MESSAGES: Final = {
    "missing": "is missing",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must have at least one entry",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_type": "must be a string",
    "json_invalid": "not JSON: {error}",
}
