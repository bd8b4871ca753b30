"""The letter of a due message: in which language, under whose name, to which address."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, cast

from services.notification.domain import Desk, compose
from services.notification.formats import language_of, locale_for
from services.notification.mail import BadAddress, Mail, address, message
from services.notification.queue import DueMessage
from services.notification.reading import ClaimAssessed, ClaimDecided, Occasion, read
from services.notification.wording import Catalog, Merchant, unnamed_merchant
from shared.policy.book import PolicyBook

Clauses = Mapping[str, Mapping[str, str]]


class Addressed(NamedTuple):
    """Where a message goes: to an address, or nowhere for a reason."""

    locale: str
    to: str | None
    reason: str = ""


class Writer:
    """Writes letters for all merchants, with the policies as they are now."""

    def __init__(
        self,
        sender: str,
        catalogs: Mapping[str, Catalog],
        merchants: Mapping[str, Merchant],
        policies: Callable[[], PolicyBook],
    ) -> None:
        self._sender = sender
        self._catalogs = catalogs
        self._merchants = merchants
        self.policies = policies

    def addressed(self, due: DueMessage) -> Addressed:
        """The locale that a message is written in, and the address on the wire."""
        given = due.locale or (due.sheet.locale if due.sheet else None)
        locale = locale_for(given, self._merchant(due).locale)
        if not due.email or not due.email.strip():
            return Addressed(locale, None, "no address")
        try:
            return Addressed(locale, address(due.email))
        except BadAddress as bad:
            return Addressed(locale, None, str(bad))

    def mail(self, due: DueMessage, locale: str, to: str) -> Mail:
        """The mail to hand over. Raises `BadEvent` where the event it is written from cannot be read."""
        event = cast("Occasion", read(due.event_type, due.event))
        catalog = self._catalogs[language_of(locale) or "en"]
        desk = Desk(catalog, self._merchant(due), due.name, due.sheet, self._clauses(event))
        return message(
            compose(event, desk),
            to=to,
            sender=self._sender,
            sender_name=desk.signed,
            notification_id=due.notification_id,
            written_at=due.created_at,
        )

    def _merchant(self, due: DueMessage) -> Merchant:
        known = self._merchants.get(due.merchant)
        if known is not None:
            return known
        policy = self.policies().in_force(due.merchant, due.created_at)
        return unnamed_merchant(due.merchant, policy.locale if policy else None)

    def _clauses(self, event: Occasion) -> Clauses:
        """The wording of the governing policy's clauses, by number and language."""
        if (type(event) is not ClaimAssessed and type(event) is not ClaimDecided) or event.policy is None:
            return {}
        return _clauses_of(self.policies(), event.merchant, event.policy.version)


@lru_cache(maxsize=64)  # a book never changes: policies that are read anew make another one
def _clauses_of(book: PolicyBook, merchant: str, version: int) -> Clauses:
    policy = book.version(merchant, version)
    if policy is None:
        return {}
    local = language_of(policy.locale) or policy.locale
    return {number: {local: said.local, "en": said.en} for number, said in policy.clauses.items()}
