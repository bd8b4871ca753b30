"""How amounts, instants and foreign words are written in a customer's language. Pure.

Persian text runs from right to left, so whatever is set into it (ids, amounts, dates, titles) stands between U+2068
(first strong isolate) and U+2069: its direction is found from itself and does not disturb the sentence (UAX #9, 6.3).
"""

import re
import unicodedata
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import get_month_names
from babel.numbers import get_decimal_symbol, get_group_symbol
from persiantools.jdatetime import JalaliDate

LANGUAGES: Final = ("en", "vi", "fa")
RIGHT_TO_LEFT: Final = frozenset({"fa"})

_FSI, _PDI, _RLM, _NBSP = "\u2068", "\u2069", "\u200f", "\u00a0"
_PERSIAN_DIGITS: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
# Marks that would reach past their own value: embeddings, overrides, isolates (U+202A-202E, U+2066-2069), and controls.
_UNSAFE: Final = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]+")
_TAG: Final = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8}){0,4}", re.ASCII)
_SPACES: Final = re.compile(" {2,}")
# Babel builds its formatters anew for each number: what is written here needs two signs a language.
_SEPARATORS: Final = {
    language: str.maketrans(
        {
            ",": get_group_symbol(language, numbering_system=numbering),
            ".": get_decimal_symbol(language, numbering_system=numbering),
        }
    )
    for language, numbering in (("en", "latn"), ("vi", "latn"), ("fa", "default"))
}
_ENGLISH_MONTHS: Final = get_month_names("wide", locale="en")
# The blocks that hold letters and digits written from right to left, and the mark that counts as one.
_MAY_BE_RTL: Final = re.compile(
    "[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_SIGNS: Final = {("vi", "VND"): "₫", ("fa", "IRR"): "ریال", ("fa", "VND"): "دونگ", ("fa", "USD"): "دلار آمریکا"}


def language_of(locale: str | None) -> str | None:
    """`fa-IR`, `fa_IR`, `FA` → `fa`; None for what is not one of our languages."""
    tag = _TAG.fullmatch(locale.strip()) if locale else None
    language = tag[1].lower() if tag else ""
    return language if language in LANGUAGES else None


def locale_for(given: str | None, merchants: str) -> str:
    """The customer's locale as given where we speak its language, otherwise the merchant's."""
    return given.strip() if given and language_of(given) else merchants


def plain(value: str, longest: int = 1000) -> str:
    """One line of somebody else's text: no control characters, no direction marks that reach past it, not too long."""
    if value.isascii() and value.isprintable() and len(value) <= longest and "  " not in value:
        return value.strip()
    text = _SPACES.sub(" ", _UNSAFE.sub(" ", value)).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def isolate(value: str, language: str) -> str:
    """A value as it is set into a sentence: isolated in Persian, and wherever it holds right-to-left letters itself."""
    if value and (language in RIGHT_TO_LEFT or _has_rtl(value)):
        return f"{_FSI}{value}{_PDI}"
    return value


def directed(text: str, language: str) -> str:
    """Every line of a Persian text begins right to left, also where its first letter is a Latin one."""
    if language not in RIGHT_TO_LEFT:
        return text
    return "\n".join(
        line if not line or unicodedata.bidirectional(line[0]) in {"R", "AL"} else _RLM + line
        for line in text.split("\n")
    )


def number(value: Decimal | int, language: str) -> str:
    """1234567 → `1,234,567` · `1.234.567` · `۱٬۲۳۴٬۵۶۷`; decimals as many as the value has."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,f}"
    text = text.translate(_SEPARATORS[language])
    return text.translate(_PERSIAN_DIGITS) if language == "fa" else text


def amount(value: str, currency: str, language: str) -> str:
    """A decimal string of the main unit, without its sign: `IRR 11,700,000` · `1.170.000 ₫` · `۱۱٬۷۰۰٬۰۰۰ ریال`."""
    digits = number(abs(Decimal(value)), language)
    sign = _SIGNS.get((language, currency), currency)
    return f"{sign}{_NBSP}{digits}" if language == "en" else f"{digits}{_NBSP}{sign}"


def moment(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Local time of a zone: `1 November 2026, 09:00` · `09:00 ngày 01/11/2026` · `۱۰ آبان ۱۴۰۵، ساعت ۰۹:۰۰`."""
    local = at.astimezone(zone)
    time = f"{local.hour:02}:{local.minute:02}"
    if language == "fa":
        return f"{_jalali_day(local.date())}، ساعت {time}".translate(_PERSIAN_DIGITS)
    if language == "vi":
        return f"{time} ngày {local.day:02}/{local.month:02}/{local.year}"
    return f"{local.day} {_ENGLISH_MONTHS[local.month]} {local.year}, {time}"


@lru_cache(maxsize=1024)
def _jalali_day(day: date) -> str:
    jalali = JalaliDate.to_jalali(day)  # type: ignore[no-untyped-call]  # typed by name, not annotated
    return f"{jalali.day} {_JALALI_MONTHS[jalali.month - 1]} {jalali.year}"


def _has_rtl(value: str) -> bool:
    if value.isascii() or not _MAY_BE_RTL.search(value):
        return False
    return any(unicodedata.bidirectional(character) in {"R", "AL", "AN"} for character in value)


_JALALI_MONTHS: Final = (
    "فروردین",
    "اردیبهشت",
    "خرداد",
    "تیر",
    "مرداد",
    "شهریور",
    "مهر",
    "آبان",
    "آذر",
    "دی",
    "بهمن",
    "اسفند",
)
