"""A letter as an e-mail, and the address it goes to. Pure.

The mail is written as bytes here: `email.message` takes a hundred times as long for the same headers and the same text
(tests read every mail with it).
"""

import hmac
import re
from binascii import b2a_base64, b2a_qp
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache
from typing import Final, NamedTuple

from services.notification.formats import RIGHT_TO_LEFT, plain
from services.notification.letters import Letter

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)


_LINE: Final = 76
"""Most characters of a line that holds encoded text (RFC 2045, 6.7 and 6.8; RFC 2047, 2)."""
_WORD: Final = 45
"""Bytes in an encoded word: as base64 with its frame it stays below 75 characters (RFC 2047, 2)."""


class Mail(NamedTuple):
    """A mail as it goes over the wire: ASCII, lines ending with CRLF. `sender` and `to` are the envelope's; `subject`
    and `text` are what its reader sees."""

    notification_id: str
    sender: str
    to: str
    content: bytes
    subject: str
    text: str


class BadAddress(ValueError):  # noqa: N818 - read as a sentence: the address is bad
    """An address that no mail can be sent to; the text says why and does not repeat the address."""


def address(given: str) -> str:
    """The address as it goes on the wire: one `local@domain`, ASCII, an international domain by its A-labels.

    Raises:
        BadAddress: not one address, or longer than RFC 5321 (4.5.3.1) allows.
    """
    text = given.strip()
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local) > 64:
        raise BadAddress("the address is not valid")
    domain = _domain(domain) if len(domain) <= 254 else ""
    if not domain or len(local) + 1 + len(domain) > 254:
        raise BadAddress("the address is not valid")
    return f"{local}@{domain}"


@lru_cache(maxsize=1024)  # most customers have theirs from a few providers
def _domain(given: str) -> str:
    """A domain by its A-labels; empty where it is none."""
    try:
        domain = given.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return domain if all(_LABEL.fullmatch(label) for label in domain.split(".")) else ""


def recipient_hash(to: str, salt: str) -> str:
    """What stands for an address outside this service: HMAC-SHA-256 (hex) under the salt, whatever the case."""
    return hmac.digest(salt.encode(), to.lower().encode(), "sha256").hex()


def message(
    letter: Letter, *, to: str, sender: str, sender_name: str, notification_id: str, written_at: datetime
) -> Mail:
    """The e-mail. The same notification has the same Message-ID and Date each time it is sent, so a repeat is known.

    `to` and `sender` are addresses as `address` returns them.
    """
    subject, shown = plain_subject(letter.subject), letter.body.replace("\r\n", "\n")
    text = shown.replace("\n", "\r\n").encode()
    # Almost every letter of a Persian text would be escaped one by one; base64 is the shorter of the two then.
    if letter.language in RIGHT_TO_LEFT:
        encoding, body = "base64", _base64(text)
    else:
        encoding, body = "quoted-printable", b2a_qp(text)
    head = (
        f"{_from(sender, sender_name)}\r\n"
        f"To: {to}\r\n"
        f"Subject: {_header(subject, len('Subject: '))}\r\n"
        f"Date: {_date(written_at)}\r\n"
        f"Message-ID: <{notification_id}@{sender.rpartition('@')[2]}>\r\n"
        "Auto-Submitted: auto-generated\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {encoding}\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Language: {letter.language}\r\n"
        "\r\n"
    )
    return Mail(notification_id, sender, to, head.encode("ascii") + body, subject, shown)


def plain_subject(subject: str) -> str:
    """A subject is one line; its isolates stay."""
    return " ".join(subject.split("\n"))[:250]


@lru_cache(maxsize=256)  # the messages of a batch are written at one instant
def _date(at: datetime) -> str:
    return format_datetime(at)


@lru_cache(maxsize=256)
def _from(sender: str, name: str) -> str:
    """The From header; a few merchants write in a few languages, so the standard library may take its time."""
    mail = EmailMessage(policy=SMTP)
    local, _, domain = sender.rpartition("@")
    mail["From"] = Address(display_name=plain(name, 60), username=local, domain=domain)
    return mail.as_string().partition("\r\n\r\n")[0].strip()


def _header(text: str, before: int) -> str:
    """A header's text behind so many characters: as it is where it is short ASCII, else in encoded words."""
    if (
        text.isascii()
        and text.isprintable()
        and before + len(text) <= _LINE
        and "=?" not in text
        and text == text.strip()
    ):
        return text
    data, words, at = text.encode(), list[str](), 0
    room = (_LINE - before - len("=?utf-8?b??=")) // 4 * 3
    while at < len(data):
        end = min(at + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # a word holds whole characters (RFC 2047, 5)
            end -= 1
        words.append(f"=?utf-8?b?{b2a_base64(data[at:end], newline=False).decode()}?=")
        at, room = end, _WORD
    return "\r\n ".join(words)


def _base64(data: bytes) -> bytes:
    text = b2a_base64(data, newline=False)
    return b"".join([text[at : at + _LINE] + b"\r\n" for at in range(0, len(text), _LINE)])
