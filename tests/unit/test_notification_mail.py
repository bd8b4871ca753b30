"""The e-mail: headers, encodings, addresses."""

import email
import email.headerregistry
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from services.notification.letters import Letter
from services.notification.mail import BadAddress, address, message, recipient_hash

WRITTEN = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def mail(letter: Letter, sender_name: str = "گجت مال") -> EmailMessage:
    made = message(
        letter,
        to="ali@example.com",
        sender="claims@gejet.example",
        sender_name=sender_name,
        notification_id="n-1",
        written_at=WRITTEN,
    )
    read = email.message_from_bytes(made.content, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


@pytest.mark.parametrize(
    ("language", "subject", "body"),
    [
        ("fa", "درخواست \u2068c-1\u2069: بازپرداخت \u2068۱۱٬۷۰۰٬۰۰۰\u00a0ریال\u2069", "سلام\n\u200f- ب\n"),
        ("vi", "Yêu cầu c-1: hoàn tiền 1.170.000\u00a0₫", "Kính gửi quý khách,\n.\n" + "ầ" * 1200 + "\n"),
        ("en", "Your claim " + "c" * 128 + ": refund of IRR\u00a011,700,000", "Hello,\n"),
    ],
)
def test_what_was_written_is_what_arrives(language: str, subject: str, body: str) -> None:
    read = mail(Letter(subject, body, language))
    assert read["Subject"] == subject
    assert read.get_content().replace("\r\n", "\n") == body
    assert read.get_content_type() == "text/plain"
    assert read.get_content_charset() == "utf-8"
    assert read["Content-Language"] == language
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["To"] == "ali@example.com"
    assert read["From"].addresses[0].display_name == "گجت مال"
    assert read["From"].addresses[0].addr_spec == "claims@gejet.example"
    assert read["Date"].datetime == WRITTEN


def test_a_repeat_is_known_by_its_id_and_the_wire_is_ascii_with_short_lines() -> None:
    letter = Letter("Yêu cầu", "ầ" * 5000 + "\n", "vi")
    wires = [
        message(
            letter, to="a@b.example", sender="c@d.example", sender_name="H", notification_id="n-1", written_at=WRITTEN
        ).content
        for _ in range(2)
    ]
    assert wires[0] == wires[1]
    assert b"Message-ID: <n-1@d.example>" in wires[0]
    wires[0].decode("ascii")
    assert max(len(line) for line in wires[0].split(b"\r\n")) <= 998


def test_no_header_can_be_smuggled_in() -> None:
    read = mail(Letter("a\nBcc: x@y.example", "b\n", "en"), sender_name='Eve"\r\nBcc: x@y.example')
    assert read["Bcc"] is None
    assert read["Subject"] == "a Bcc: x@y.example"
    assert len(read["From"].addresses) == 1


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("ali@example.com", "ali@example.com"),
        ("  ali@Example.COM ", "ali@example.com"),
        ("a.b+c@bücher.example", "a.b+c@xn--bcher-kva.example"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_on_the_wire(given: str, wire: str) -> None:
    assert address(given) == wire


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ali",
        "@example.com",
        "ali@",
        "ali@ex ample.com",
        "a@b@c.example",
        "ali@example..com",
        ".ali@example.com",
        "ali@-example.com",
        "ali@example.com\r\nRCPT TO:<x@y.example>",
        "ali@example.com, x@y.example",
        "<ali@example.com>",
        "Ali <ali@example.com>",
        "علی@example.com",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 130 + "example",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(BadAddress) as refusal:
        address(given)
    assert str(refusal.value) == "the address is not valid"


def test_the_hash_is_keyed_and_blind_to_case() -> None:
    assert recipient_hash("Ali@example.com", "salt") == recipient_hash("ali@example.com", "salt")
    assert recipient_hash("ali@example.com", "salt") != recipient_hash("ali@example.com", "other")
    assert len(recipient_hash("ali@example.com", "salt")) == 64


@pytest.mark.parametrize(
    "subject",
    [
        "Short",
        "x" * 67,
        "x" * 68,
        "a claim with =?utf-8?q?an_encoded_word?= in its id",
        " spaces around ",
        "Đ" * 83,
        "درخواست \u2068c-1\u2069 " * 9,
        "😀" * 60,
        "",
    ],
)
def test_any_subject_arrives_as_it_was_in_lines_that_are_not_too_long(subject: str) -> None:
    letter = Letter(subject, "b\n", "en")
    head = message(
        letter, to="a@b.example", sender="c@d.example", sender_name="H", notification_id="n-1", written_at=WRITTEN
    ).content.partition(b"\r\n\r\n")[0]
    assert mail(letter)["Subject"] == subject
    lines = head.split(b"\r\n")
    assert max(len(line) for line in lines) <= 76
    assert all(len(word) <= 75 for line in lines for word in line.split() if word.startswith(b"=?"))


def test_the_headers_are_those_that_the_standard_library_would_write() -> None:
    wire = message(
        Letter("Decision", "b\n", "vi"),
        to="a@b.example",
        sender="c@d.example",
        sender_name="گجت مال",
        notification_id="n-1",
        written_at=WRITTEN,
    ).content
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"] = email.headerregistry.Address("گجت مال", "c", "d.example")
    made["To"] = "a@b.example"
    made["Subject"] = "Decision"
    made["Date"] = WRITTEN
    made["Message-ID"] = "<n-1@d.example>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("b\n", subtype="plain", charset="utf-8", cte="quoted-printable")
    made["Content-Language"] = "vi"
    assert wire == made.as_bytes()
