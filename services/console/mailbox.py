"""The demo's mails, as the customer saw them: files of the mail server, found by their Message-ID."""

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

MOST = 200_000


class Mailbox:
    """Reads the folder's new files when asked; blocking, for a thread."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self._files: dict[str, Path] = {}

    def find(self, notification_ids: list[str]) -> dict[str, tuple[str, str]]:
        """Subject and body by notification id, of those that are there."""
        if self._folder is None or not notification_ids:
            return {}
        self._look()
        found = {}
        for name in notification_ids:
            file = self._files.get(name)
            if file is not None and file.is_file():
                found[name] = _content(file)
        return found

    def _look(self) -> None:
        assert self._folder is not None
        for file in sorted(self._folder.glob("*.eml")):
            if file.name in self._read or len(self._read) >= MOST:
                continue
            self._read.add(file.name)
            with file.open("rb") as mail:
                said = BytesParser(policy=policy.default).parse(mail, headersonly=True).get("Message-ID", "")
            self._files[str(said).strip().strip("<>").rpartition("@")[0]] = file


def _content(file: Path) -> tuple[str, str]:
    with file.open("rb") as mail:
        message = BytesParser(_class=EmailMessage, policy=policy.default).parse(mail)
    body = message.get_body(("plain",)) if isinstance(message, EmailMessage) else None
    return str(message.get("Subject", "")), "" if body is None else str(body.get_content())
