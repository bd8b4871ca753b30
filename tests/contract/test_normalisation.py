"""Digits, letters, NFC: what ids, amounts, phone numbers and texts become."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import BadEvent, ClaimSubmitted, CustomerContact, SellerAnswered, dump, parse
from shared.events.fields import normalise_amount, normalise_id, normalise_phone, normalise_text
from tests.contract.samples import example

PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)


def _claim(**put: object) -> ClaimSubmitted:
    return parse(ClaimSubmitted, json.dumps({**example("claim.submitted.v1"), **put}).encode())


@pytest.mark.parametrize(
    ("came", "becomes"),
    [
        ("GM-۱۰۰۱", "GM-1001"),
        ("GM-١٠٠١", "GM-1001"),
        ("كيف", "کیف"),
        ("علي", "علی"),
        ("Cafe\u0301", "Café"),
        ("می‌روم", "می‌روم"),
        (" c 1 ", " c 1 "),
        ("ا" * 128, "ا" * 128),
        ("e\u0301" * 128, "é" * 128),
        ("a/b'c\"d\\", "a/b'c\"d\\"),
    ],
)
def test_ids(came: str, becomes: str) -> None:
    assert _claim(claim_id=came).claim_id == becomes


@pytest.mark.parametrize("came", ["x" * 129, "ا" * 129, "\u200a", "a\u2028b", "a\x85b", "\t"])
def test_what_is_no_id(came: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        _claim(claim_id=came)
    assert refusal.value.path == "$.claim_id"


@pytest.mark.parametrize(
    ("came", "becomes"),
    [("۰۲۱-١٢٣ 45", "021-123 45"), ("+98 (21) 1", "+98 (21) 1"), ("", ""), ("ext. ۵", "ext. 5")],
)
def test_phone_numbers(came: str, becomes: str) -> None:
    contact = parse(CustomerContact, json.dumps({**example("customer.contact.v1"), "phone": came}).encode())
    assert contact.phone == becomes


@pytest.mark.parametrize(
    ("came", "becomes"),
    [
        ("۱۲۵۰", "1250"),
        ("١٢٥٠", "1250"),
        ("۱٢5۰", "1250"),
        ("007", "7"),
        ("000", "0"),
        ("0.50", "0.50"),
        ("00.5", "0.5"),
        ("۱۲.۵", "12.5"),
        ("1234567890123.45", "1234567890123.45"),
        ("0000000000000000000012", "12"),
    ],
)
def test_amounts(came: str, becomes: str) -> None:
    data = {**example("seller.answered.v1"), "answer": "refund_full", "amount": {"amount": came, "currency": "USD"}}
    answered = parse(SellerAnswered, json.dumps(data).encode())
    assert answered.amount is not None
    assert answered.amount.amount == becomes


def test_free_text_is_kept() -> None:
    note = "شماره ۱۲۳ علي كتاب\n\tcafe\u0301"
    assert _claim(note=note).note == unicodedata.normalize("NFC", note)


@pytest.mark.parametrize("letter", ["a", "ا", "😀"])
def test_text_of_the_longest_kind(letter: str) -> None:
    assert _claim(note=letter * 10_000).note == letter * 10_000
    with pytest.raises(BadEvent, match="10000") as refusal:
        _claim(note=letter * 10_001)
    assert refusal.value.path == "$.note"


@given(TEXTS)
def test_texts_become_nfc_and_nothing_else(text: str) -> None:
    parsed = _claim(note=text)
    assert parsed.note == unicodedata.normalize("NFC", text) == normalise_text(text)
    assert parse(ClaimSubmitted, dump(parsed)) == parsed


@given(TEXTS)
def test_ids_are_normal_once_normalised(text: str) -> None:
    try:
        once = normalise_id(text)
    except ValueError:
        with pytest.raises(BadEvent):
            _claim(claim_id=text)
        return
    assert normalise_id(once) == once == unicodedata.normalize("NFC", once)
    assert not set(once) & set("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩يك")
    assert _claim(claim_id=text).claim_id == once == _claim(claim_id=once).claim_id


@given(st.text(st.characters(codec="ascii"), max_size=140))
def test_the_short_way_for_ascii_ids_agrees_with_the_long_one(text: str) -> None:
    try:
        expected: str | None = normalise_id(text)
    except ValueError:
        expected = None
    try:
        taken: str | None = _claim(claim_id=text).claim_id
    except BadEvent:
        taken = None
    assert taken == expected


@given(
    st.one_of(
        st.from_regex(r"\A[0-9]{1,17}(\.[0-9]{1,4})?\Z"),
        st.text("0123456789.,eE+- ۱٢٬", max_size=20),
    )
)
def test_the_short_way_for_amounts_agrees_with_the_long_one(text: str) -> None:
    # CLF has four decimals, the most there are, so that the currency refuses none of these.
    data = {**example("seller.answered.v1"), "answer": "refuse", "amount": {"amount": text, "currency": "CLF"}}
    try:
        expected: str | None = normalise_amount(text)
    except ValueError:
        expected = None
    if expected is not None and len(expected.partition(".")[2]) > 4:
        expected = None
    try:
        answered = parse(SellerAnswered, json.dumps(data).encode())
    except BadEvent:
        taken = None
    else:
        taken = answered.amount.amount if answered.amount else None
    assert taken == expected


@given(st.integers(0, 10**15 - 1), st.integers(0, 3))
def test_amounts_read_the_same_in_every_digits(amount: int, zeros: int) -> None:
    text = "0" * zeros + str(amount)
    assert normalise_amount(text.translate(PERSIAN)) == normalise_amount(text.translate(ARABIC)) == str(amount)


@given(TEXTS)
def test_phone_numbers_are_normal_once_normalised(text: str) -> None:
    once = normalise_phone(text)
    assert normalise_phone(once) == once
