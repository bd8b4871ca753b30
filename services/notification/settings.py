"""Settings of the notification service, from the environment."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from services.notification.mail import address
from shared.settings import Settings

UNSALTED = "makegood"
SHORTEST_KEY = 16


class NotificationSettings(Settings):
    """`MAKEGOOD_SMTP`, `MAKEGOOD_SMTP_USER`, …: the mail server, and how patient to be with it."""

    smtp: str = "127.0.0.1:1025"
    """Mail server, `host:port`."""
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    smtp_seconds: float = Field(default=20.0, gt=0)
    """Limit of any one step with the mail server; a letter gets twice that."""
    smtp_connections: int = Field(default=4, ge=1, le=100)
    mail_from: str = "claims@makegood.example"
    """Sender's address; the merchant's name goes in front of it."""
    recipient_salt: SecretStr = SecretStr(UNSALTED)
    """Key of `recipient_hash`. Set it: with the built-in one anybody can try addresses against the hashes."""
    contact_wait_seconds: float = Field(default=60.0, ge=0)
    """How long a message waits for the customer's contact data before it fails."""
    mail_retry_seconds: float = Field(default=5.0, gt=0)
    """Wait after the first failed attempt; doubles up to `mail_retry_longest_seconds`."""
    mail_retry_longest_seconds: float = Field(default=900.0, gt=0)
    mail_give_up_hours: float = Field(default=24.0, gt=0)
    mail_batch: int = Field(default=400, ge=1)
    """Most messages in hand at once."""
    mails_when_behind: int = Field(default=100, ge=1)
    """Most messages taken in hand in a second while the service is behind with reading: then all cores are busy, and
    deciding goes before mailing."""
    mail_poll_seconds: float = Field(default=1.0, gt=0)
    """How often the queue is looked at without being told that there is something in it: messages that have to be tried
    again, and those that another process has left behind."""

    keep_mails_days: float = Field(default=90.0, ge=0)
    """How long the text of a mail that went out is kept for the console; 0 keeps none."""
    mails_key: SecretStr = SecretStr("")
    """With this key the console reads the texts of mails at the health address; left out: nobody does."""

    @field_validator("mails_key")
    @classmethod
    def _not_to_be_guessed(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"must have {SHORTEST_KEY} characters at least")
        return value

    @field_validator("smtp")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("must be host:port")
        return value

    @field_validator("mail_from")
    @classmethod
    def _an_address(cls, value: str) -> str:
        return address(value)

    @property
    def smtp_host(self) -> str:
        return self.smtp.rpartition(":")[0].strip("[]")

    @property
    def smtp_port(self) -> int:
        return int(self.smtp.rpartition(":")[2])
