"""A letter as an e-mail, and the address it goes to. Pure."""

import hashlib
import hmac
import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from services.notification.formats import RIGHT_TO_LEFT, plain
from services.notification.letters import Letter

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)


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
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise BadAddress("the address is not valid") from None
    if len(local) + 1 + len(domain) > 254 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise BadAddress("the address is not valid")
    return f"{local}@{domain}"


def recipient_hash(to: str, salt: str) -> str:
    """What stands for an address outside this service: HMAC-SHA-256 (hex) under the salt, whatever the case."""
    return hmac.new(salt.encode(), to.lower().encode(), hashlib.sha256).hexdigest()


def message(
    letter: Letter, *, to: str, sender: str, sender_name: str, notification_id: str, written_at: datetime
) -> EmailMessage:
    """The e-mail. The same notification has the same Message-ID and Date each time it is sent, so a repeat is known.

    `to` and `sender` are addresses as `address` returns them.
    """
    mail = EmailMessage(policy=SMTP)
    local, _, domain = sender.rpartition("@")
    mail["From"] = Address(display_name=plain(sender_name, 60), username=local, domain=domain)
    mail["To"] = to
    mail["Subject"] = plain_subject(letter.subject)
    mail["Date"] = written_at
    mail["Message-ID"] = f"<{notification_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    # Almost every letter of a Persian text would be escaped one by one; base64 is the shorter of the two then.
    cte = "base64" if letter.language in RIGHT_TO_LEFT else "quoted-printable"
    mail.set_content(letter.body, subtype="plain", charset="utf-8", cte=cte)
    mail["Content-Language"] = letter.language  # set_content would take it away again
    return mail


def plain_subject(subject: str) -> str:
    """A subject is one line; its isolates stay."""
    return " ".join(subject.split("\n"))[:250]
