"""Money as whole minor units: currencies, reading and writing of amounts, the one rounding rule, fair shares.

Inside, an amount is an `int` of the currency's minor units; outside, a decimal string of its main unit. There is no
float and no `Decimal` on the way, so what is added up is exactly what was written.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

_TWO_DECIMALS: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU
CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR JMD KES KGS
KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD
PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NO_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS: Final = "CLF UYW"

DECIMALS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(_TWO_DECIMALS.split(), 2),
        **dict.fromkeys(_NO_DECIMALS.split(), 0),
        **dict.fromkeys(_THREE_DECIMALS.split(), 3),
        **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
        # ISO 4217 still lists two for the rial; nobody has paid a hundredth of one for decades, and CONTRACT says none.
        "IRR": 0,
    }
)
"""ISO 4217 code → decimals, for the codes of money in use (2026). Metals, units of account, test codes: left out."""

_SCALE: Final = (1, 10, 100, 1_000, 10_000)

_AMOUNT: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_RATE: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)


class MoneyError(ValueError):
    """An amount, a rate or a currency that cannot be taken as it stands; the text says why."""


def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 code of money in use; `IRT` (toman) is not one."""
    return code in DECIMALS


def decimals(currency: str) -> int:
    """How many decimals amounts in `currency` have. Raises `MoneyError` for what is not an ISO 4217 code."""
    try:
        return DECIMALS[currency]
    except KeyError:
        raise MoneyError(f"{currency!r} is not an ISO 4217 currency code") from None


def minor(amount: str, currency: str) -> int:
    """`"12.30"`, `"USD"` → 1230. Takes a plain decimal string, perhaps negative, with at most the currency's decimals.

    Raises `MoneyError` for exponents, thousands marks, blanks, a plus sign and too many decimals.
    """
    places = decimals(currency)
    if amount.isascii() and amount.isdecimal():
        # Most amounts are whole, and a regular expression costs several times as much.
        return int(amount) * _SCALE[places]
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise MoneyError(f"{amount!r} is not a plain decimal number")
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if len(fraction) > places:
        raise MoneyError(f"{amount!r} has more decimals than {currency} has ({places})")
    units = int(whole) * _SCALE[places] + int(fraction.ljust(places, "0") or "0")
    return -units if sign else units


def minors(amounts: Iterable[str], currency: str) -> list[int]:
    """`minor` of several amounts, in their order."""
    scale = _SCALE[decimals(currency)]
    return [
        int(amount) * scale if amount.isascii() and amount.isdecimal() else minor(amount, currency)
        for amount in amounts
    ]


def text(minor: int, currency: str) -> str:
    """1230, `"USD"` → `"12.30"`; 11700000, `"IRR"` → `"11700000"`. A zero is `"0"` in every currency."""
    places = decimals(currency)
    if minor == 0 or places == 0:
        return str(minor)
    sign, units = ("-", -minor) if minor < 0 else ("", minor)
    whole, fraction = divmod(units, _SCALE[places])
    return f"{sign}{whole}.{fraction:0{places}d}"


def round_half_up(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest integer, halves up (towards +∞). Raises `ZeroDivisionError` for 0."""
    return (2 * numerator + denominator) // (2 * denominator)


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """`total` spread over `weights` by largest remainder; equal remainders go to the earlier. Adds up to `total`.

    `total` and every weight are ≥ 0. Weights that are all 0 can carry only a total of 0; anything else, and any
    negative, raises `ValueError`: a caller has to say where such money belongs.
    """
    if total < 0 or (weights and min(weights) < 0):
        raise ValueError("neither the total nor a weight may be negative")
    if total == 0:
        return [0] * len(weights)
    whole = sum(weights)
    if whole == 0:
        raise ValueError("nothing to spread over: every weight is 0")
    if len(weights) == 1:
        return [total]
    shares, remainders = [], []
    for weight in weights:
        share, remainder = divmod(total * weight, whole)
        shares.append(share)
        remainders.append(remainder)
    left = total - sum(shares)
    if left == 1:
        shares[remainders.index(max(remainders))] += 1
    elif left:
        by_remainder = sorted(range(len(weights)), key=remainders.__getitem__, reverse=True)
        for index in by_remainder[:left]:
            shares[index] += 1
    return shares


def rate(value: str) -> tuple[int, int]:
    """A rate as an exact fraction: `"25400.5"` → (254005, 10). Raises `MoneyError` unless it is above 0 and plain."""
    match = _RATE.fullmatch(value)
    if match is None or not (match[1] + (match[2] or "")).strip("0"):
        raise MoneyError(f"{value!r} is not a rate above 0")
    fraction = match[2] or ""
    return int(match[1] + fraction), int("1" + "0" * len(fraction))


def exchange(amount: int, currency: str, into: str, per_unit: str) -> int:
    """`amount` (minor units of `currency`) in minor units of `into`, at `per_unit` main units of `into` for one of
    `currency` (the order's `exchange.rate`), rounded half up once, at the end (register entry `exchange-rate`).
    """
    numerator, denominator = rate(per_unit)
    return round_half_up(amount * numerator * _SCALE[decimals(into)], denominator * _SCALE[decimals(currency)])
