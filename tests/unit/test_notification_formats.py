"""Amounts, instants and foreign words as customers read them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.notification.formats import amount, directed, isolate, language_of, locale_for, moment, number, plain

NBSP = "\u00a0"


@pytest.mark.parametrize(
    ("value", "currency", "english", "vietnamese", "persian"),
    [
        ("11700000", "IRR", "IRR 11,700,000", "11.700.000 IRR", "۱۱٬۷۰۰٬۰۰۰ ریال"),
        ("1170000", "VND", "VND 1,170,000", "1.170.000 ₫", "۱٬۱۷۰٬۰۰۰ دونگ"),
        ("-300000", "IRR", "IRR 300,000", "300.000 IRR", "۳۰۰٬۰۰۰ ریال"),
        ("0", "VND", "VND 0", "0 ₫", "۰ دونگ"),
        ("999", "VND", "VND 999", "999 ₫", "۹۹۹ دونگ"),
        ("1234.50", "USD", "USD 1,234.50", "1.234,50 USD", "۱٬۲۳۴٫۵۰ دلار آمریکا"),
        ("999999999999999", "IRR", "IRR 999,999,999,999,999", "999.999.999.999.999 IRR", "۹۹۹٬۹۹۹٬۹۹۹٬۹۹۹٬۹۹۹ ریال"),
        ("5", "XAF", "XAF 5", "5 XAF", "۵ XAF"),
    ],
)
def test_amounts(value: str, currency: str, english: str, vietnamese: str, persian: str) -> None:
    written = [amount(value, currency, language).replace(NBSP, " ") for language in ("en", "vi", "fa")]
    assert written == [english, vietnamese, persian]


def test_an_amount_is_never_broken_over_two_lines() -> None:
    assert " " not in amount("11700000", "IRR", "en") + amount("1", "VND", "vi") + amount("1", "IRR", "fa")


@pytest.mark.parametrize(
    ("at", "zone", "english", "vietnamese", "persian"),
    [
        (
            "2026-11-01T05:30:00Z",
            "Asia/Tehran",
            "1 November 2026, 09:00",
            "09:00 ngày 01/11/2026",
            "۱۰ آبان ۱۴۰۵، ساعت ۰۹:۰۰",
        ),
        # 20:30 UTC is past midnight in Tehran, and the first day of a Persian year.
        (
            "2026-03-20T20:30:00Z",
            "Asia/Tehran",
            "21 March 2026, 00:00",
            "00:00 ngày 21/03/2026",
            "۱ فروردین ۱۴۰۵، ساعت ۰۰:۰۰",
        ),
        # 1403 is a leap year: Esfand has a 30th.
        (
            "2025-03-20T10:00:00+03:30",
            "Asia/Tehran",
            "20 March 2025, 10:00",
            "10:00 ngày 20/03/2025",
            "۳۰ اسفند ۱۴۰۳، ساعت ۱۰:۰۰",
        ),
        # Until 2022 Iran had summer time: the same wall clock, another offset.
        (
            "2021-07-01T05:30:00Z",
            "Asia/Tehran",
            "1 July 2021, 10:00",
            "10:00 ngày 01/07/2021",
            "۱۰ تیر ۱۴۰۰، ساعت ۱۰:۰۰",
        ),
        (
            "2026-12-31T17:00:00Z",
            "Asia/Ho_Chi_Minh",
            "1 January 2027, 00:00",
            "00:00 ngày 01/01/2027",
            "۱۱ دی ۱۴۰۵، ساعت ۰۰:۰۰",
        ),
    ],
)
def test_moments_in_the_merchants_local_time(at: str, zone: str, english: str, vietnamese: str, persian: str) -> None:
    instant = datetime.fromisoformat(at)
    written = [moment(instant, ZoneInfo(zone), language) for language in ("en", "vi", "fa")]
    assert written == [english, vietnamese, persian]


def test_all_twelve_persian_months_are_named() -> None:
    named = {moment(datetime(2026, month, 25, tzinfo=UTC), ZoneInfo("UTC"), "fa").split()[1] for month in range(1, 13)}
    assert len(named) == 12


@pytest.mark.parametrize(
    ("given", "language"),
    [
        ("fa-IR", "fa"),
        ("fa_IR", "fa"),
        ("FA", "fa"),
        ("vi-VN", "vi"),
        ("en-GB", "en"),
        (" en ", "en"),
        ("vi-Latn-VN", "vi"),
        ("de-DE", None),
        ("far-IR", None),
        ("", None),
        (None, None),
        ("fa-IR\r\nBcc: x", None),
        ("fa-" + "x" * 500, None),
    ],
)
def test_languages_of_locales(given: str | None, language: str | None) -> None:
    assert language_of(given) == language


def test_the_customers_locale_goes_first_and_an_unknown_one_gives_way_to_the_merchants() -> None:
    assert locale_for("en-GB", "fa-IR") == "en-GB"
    assert locale_for("de-DE", "fa-IR") == "fa-IR"
    assert locale_for(None, "vi-VN") == "vi-VN"


def test_foreign_text_keeps_to_itself() -> None:
    assert plain("a\r\nBcc: b\u202e\u2067c\x00d\u2028e") == "a Bcc: b c d e"
    assert plain("میز\u200cها") == "میز\u200cها"  # a joiner belongs to the word
    assert plain("x" * 30, 10) == "x" * 9 + "…"
    assert plain(f"1{NBSP}₫") == f"1{NBSP}₫"


def test_isolates_where_directions_meet() -> None:
    assert isolate("GM-1001", "fa") == "\u2068GM-1001\u2069"
    assert isolate("GM-1001", "vi") == "GM-1001"
    assert isolate("ساعت SW-9", "en") == "\u2068ساعت SW-9\u2069"
    assert isolate("", "fa") == ""


def test_every_persian_line_begins_right_to_left() -> None:
    text = "سلام\n\n\u2068GM-1\u2069 الف\n- ب"
    assert directed(text, "fa") == "سلام\n\n\u200f\u2068GM-1\u2069 الف\n\u200f- ب"
    assert directed("- b", "en") == "- b"


def test_numbers_keep_their_decimals() -> None:
    assert [number(2, "en"), number(10_000, "vi"), number(10_000, "fa")] == ["2", "10.000", "۱۰٬۰۰۰"]
