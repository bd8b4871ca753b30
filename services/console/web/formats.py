"""Numbers, amounts, instants and durations as each language writes them.

Persian: Persian digits and the Jalali calendar; what is set into a Persian page stands in a `<bdi>` of the template.
"""

import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from persiantools.jdatetime import JalaliDateTime

from shared.money import decimals, minor

LANGUAGES: Final = ("en", "vi", "fa")
RTL: Final = frozenset({"fa"})

_PERSIAN: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_GROUP: Final = {"en": ",", "vi": ".", "fa": "٬"}
_POINT: Final = {"en": ".", "vi": ",", "fa": "٫"}
_SIGNS: Final = {("vi", "VND"): "₫", ("fa", "IRR"): "ریال", ("fa", "VND"): "دونگ", ("fa", "USD"): "دلار"}
_UNITS: Final = {
    "en": ("d", "h", "min", "s", "ms"),
    "vi": ("ngày", "giờ", "phút", "giây", "ms"),
    "fa": ("روز", "ساعت", "دقیقه", "ثانیه", "م‌ث"),
}
_NBSP: Final = "\u00a0"


def digits(text: str, language: str) -> str:
    """The text with the language's digits."""
    return text.translate(_PERSIAN) if language == "fa" else text


def number(value: int, language: str) -> str:
    """1234567 → `1,234,567` · `1.234.567` · `۱٬۲۳۴٬۵۶۷`."""
    sign = "−" if value < 0 else ""
    return sign + digits(f"{abs(value):,}".replace(",", _GROUP[language]), language)


def amount(value: int, currency: str, language: str) -> str:
    """Minor units → `IRR 11,700,000` · `1.170.000 ₫` · `۱۱٬۷۰۰٬۰۰۰ ریال`."""
    places = decimals(currency)
    whole, rest = divmod(abs(value), 10**places)
    text = number(whole, language)
    if places:
        text += _POINT[language] + digits(f"{rest:0{places}d}", language)
    sign = "−" if value < 0 else ""
    name = _SIGNS.get((language, currency), currency)
    return f"{sign}{name}{_NBSP}{text}" if language == "en" else f"{sign}{text}{_NBSP}{name}"


def amount_of(value: str, currency: str, language: str) -> str:
    """As `amount`, from a decimal string of the main unit, which may be negative."""
    units = minor(value.removeprefix("-"), currency)
    return amount(-units if value.startswith("-") else units, currency, language)


def day(at: datetime, zone: ZoneInfo, language: str) -> str:
    """`2026-11-22` · `22/11/2026` · `۱۴۰۵/۰۹/۰۱`."""
    local = at.astimezone(zone)
    if language == "fa":
        jalali = JalaliDateTime(local)  # type: ignore[no-untyped-call]  # persiantools is not typed
        return f"{jalali.year}/{jalali.month:02d}/{jalali.day:02d}".translate(_PERSIAN)
    return f"{local:%d/%m/%Y}" if language == "vi" else f"{local:%Y-%m-%d}"


def moment(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Day, and time to the second."""
    local = at.astimezone(zone)
    time = digits(f"{local:%H:%M:%S}", language)
    # Digits alone do not make a line run from right to left: the mark does.
    return f"\u200f{day(at, zone, language)}، {time}" if language in RTL else f"{day(at, zone, language)} {time}"


def duration(milliseconds: float, language: str) -> str:
    """The two largest units: `2 d 3 h`, `850 ms`; negative ones keep their sign."""
    value = round(abs(milliseconds))
    sign = "−" if milliseconds < 0 else ""
    steps = (86_400_000, 3_600_000, 60_000, 1000, 1)
    parts: list[str] = []
    for step, unit in zip(steps, _UNITS[language], strict=True):
        n, value = divmod(value, step)
        if n or (step == 1 and not parts):
            parts.append(f"{digits(str(n), language)}{_NBSP}{unit}")
        if len(parts) == 2 or (parts and step <= 1000):
            break
    return sign + " ".join(parts)


def in_full(span: str, language: str) -> str:
    """`12 h 05 min 00 s`, as the pipeline writes a time, in the language's words and without what is nought."""
    amounts = [int(part) for part in span.split()[::2]]
    named = zip(amounts, _UNITS[language][1:4], strict=True)
    parts = [f"{digits(str(n), language)}{_NBSP}{unit}" for n, unit in named if n]
    return " ".join(parts) or f"{digits('0', language)}{_NBSP}{_UNITS[language][3]}"


def since(ms: int, now: datetime, language: str) -> str:
    """How long ago an instant (ms since 1970) was."""
    return duration(max(0.0, now.timestamp() * 1000 - ms), language)


def until(ms: int, now: datetime, language: str) -> str:
    """How long until an instant (ms since 1970); negative once it has passed."""
    return duration(ms - now.timestamp() * 1000, language)


def instant(ms: int) -> datetime:
    """An instant from ms since 1970."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def visible(value: bytes | str) -> str:
    """Foreign bytes as text in which nothing hides: what is not printable is written as an escape."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return "".join(c if c in "\n\t" or _printable(c) else f"\\u{{{ord(c):x}}}" for c in text)


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} or character == "\u200c"


def parse_duration(text: str) -> timedelta | None:
    """`90m`, `36h`, `14d` → a duration; None for what is not one."""
    units = {"m": 60, "h": 3600, "d": 86400}
    number_, unit = text[:-1], text[-1:]
    if unit not in units or not number_.isascii() or not number_.isdigit() or len(number_) > 6:
        return None
    return timedelta(seconds=int(number_) * units[unit])
