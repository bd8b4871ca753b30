"""The texts of a claim's mails, asked of the notification service, which keeps them as they went out."""

import asyncio
from typing import Final, Literal

import httpx2
import structlog
from pydantic import BaseModel, ValidationError

log = structlog.get_logger(__name__)

LIMIT = 3.0
"""Seconds; a claim's page waits no longer for texts."""
MOST_BYTES: Final = 8_000_000

TextMissing = Literal["not_set_up", "no_answer", "refused", "not_kept"]
"""Why a text is not to be had: no key or address here or no key there; the service did not answer, or not as it should;
it did not take our key; it has none of that mail (any more)."""
_SAYS: Final[dict[int, TextMissing]] = {401: "refused", 403: "refused", 404: "not_set_up"}


class _Mail(BaseModel):
    notification_id: str
    subject: str
    text: str


class _Answer(BaseModel):
    mails: list[_Mail]


class _Unanswered(Exception):  # noqa: N818 - read as a sentence
    def __init__(self, why: TextMissing) -> None:
        super().__init__(why)
        self.why = why


class Mails:
    """Asks one notification service; nobody where there is no address or no key."""

    def __init__(self, address: str | None, key: str) -> None:
        self._address = address
        self._http: httpx2.AsyncClient | None = None
        if address and key:
            self._http = httpx2.AsyncClient(timeout=LIMIT, headers={b"authorization": f"Bearer {key}".encode()})

    async def of(self, merchant: str, claim_id: str) -> dict[str, tuple[str, str]] | TextMissing:
        """Subject and text of the claim's mails by notification id, or why there is none."""
        if self._http is None:
            return "not_set_up"
        try:
            async with asyncio.timeout(LIMIT):
                said = await self._ask(self._http, {"merchant": merchant, "claim_id": claim_id})
            return {mail.notification_id: (mail.subject, mail.text) for mail in _Answer.model_validate_json(said).mails}
        except _Unanswered as unanswered:
            log.warning("mails_not_read", address=self._address, error=unanswered.why)
            return unanswered.why
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            log.warning("mails_not_read", address=self._address, error=repr(error))
            return "no_answer"
        except ValidationError as error:  # its text would quote the mails
            log.warning("mails_not_read", address=self._address, error=f"{error.error_count()} faults in the answer")
            return "no_answer"

    async def _ask(self, http: httpx2.AsyncClient, claim: dict[str, str]) -> bytes:
        async with http.stream("GET", f"{self._address}/mails", params=claim) as answer:
            if answer.status_code != 200:
                raise _Unanswered(_SAYS.get(answer.status_code, "no_answer"))
            said = bytearray()
            async for piece in answer.aiter_bytes():
                said += piece
                if len(said) > MOST_BYTES:
                    raise _Unanswered("no_answer")
            return bytes(said)

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
