"""Foreign text on a terminal: nothing that steers it, and right-to-left text kept from turning the line around."""

from __future__ import annotations

import re
import unicodedata

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SPACE = re.compile(r"\s+")
_ISOLATE, _POP = "\u2068", "\u2069"


def clean(text: object, most: int = 500) -> str:
    """One line without control and steering characters; right-to-left text is isolated from its neighbours."""
    line = _SPACE.sub(" ", _STEERING.sub("", str(text))).strip()
    if len(line) > most:
        line = line[: most - 1] + "…"
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line):
        return f"{_ISOLATE}{line}{_POP}"
    return line


def amount(digits: object, currency: object) -> str:
    """`11700000`, `IRR` → `11,700,000 IRR`; what is no plain number stays as it is."""
    text = clean(digits)
    whole, dot, rest = text.partition(".")
    sign, figures = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if figures.isascii() and figures.isdigit():
        text = f"{sign}{int(figures):,}{dot}{rest}"
    return f"{text} {clean(currency)}".strip()
