"""A batch, judged event by event in memory: pure like `domain.admit`, which it calls for each.

The desk holds what the database knew (put in by `handlers`), hands each event the part that bears on it, and holds
afterwards what the database has to know.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from services.intake.domain import admit, expire
from services.intake.state import (
    AboutClaim,
    Arrival,
    Bury,
    Count,
    Effect,
    Input,
    OrderState,
    State,
    Terms,
)
from shared.events import (
    ClaimReviewed,
    ClaimSubmitted,
    Event,
    OrderPlaced,
    RefundSettled,
    ReturnReceived,
    SellerAnswered,
    dump,
)

# By class: `isinstance` with a model of another class goes through `ABCMeta`, seven times for a decision.
_ABOUT_A_CLAIM: Final = frozenset((ClaimSubmitted, *get_args(AboutClaim), RefundSettled))
_ITEM_IDS: Final[dict[type, str]] = {
    SellerAnswered: "answer_id",
    ReturnReceived: "return_id",
    ClaimReviewed: "review_id",
}

_AboutClaim = ClaimSubmitted | AboutClaim | RefundSettled

OrderKey = tuple[str, str]
"""Merchant and order id."""
ClaimKey = tuple[str, str]
"""Merchant and claim id."""


class Mark(Struct, frozen=True):
    """What tells that something came before: a key of 16 bytes, the digest of the data; and what to call it."""

    key: bytes
    digest: bytes
    what: str
    path: str

    @property
    def name(self) -> str:
        """A short name of the key, for an order to remember."""
        return hashlib.blake2b(self.key, digest_size=8).hexdigest()


class Letter(Struct, frozen=True):
    """An event to judge, with its marks: the first names the event itself."""

    arrival: Arrival
    marks: tuple[Mark, ...]

    def waits_until(self, until: datetime | None) -> "Letter":
        """The letter, waiting; `until` for a parked claim."""
        return Letter(replace(self.arrival, until=until), self.marks)


def event_mark(source: str, id: str, type: str, digest: bytes) -> Mark:
    """The mark of an event: `(source, id)` with its type and the digest of its canonical data."""
    key = _key("event", source, id)
    data = hashlib.blake2b(type.encode() + digest, digest_size=16).digest()
    return Mark(key, data, f"event {id} of {source}", "$")


def item_marks(event: Input) -> tuple[Mark, ...]:
    """The mark of the answer, return or review that an event tells of; its id is unique within the merchant."""
    kind = _ITEM_IDS.get(type(event))
    if kind is None:
        return ()
    id: str = getattr(event, kind)
    key = _key(kind, event.merchant, id)
    digest = hashlib.blake2b(dump(cast("Event", event)), digest_size=16).digest()
    return (Mark(key, digest, f"{kind} {id}", f"$.{kind}"),)


def _key(kind: str, of: str, id: str) -> bytes:
    """A key of the inbox: whose ids they are, as a hash, then the id itself. Senders count their ids up, or begin them
    with the time, so that new keys lie together in the index (docs/scale.md, Growth)."""
    name = id.encode()
    if len(name) <= _LONGEST_ID:
        return _space(kind, of) + name
    return _space(f"{kind}, long", of) + hashlib.blake2b(name, digest_size=16).digest()


@lru_cache(maxsize=1024)
def _space(kind: str, of: str) -> bytes:
    return hashlib.blake2b(f"{kind}:{of}".encode(), digest_size=12).digest()


_LONGEST_ID: Final = 48


def order_key(event: Input) -> OrderKey:
    return event.merchant, event.order_id


def claim_key(event: Input) -> ClaimKey | None:
    """The claim that an event is about and whose row bears on it."""
    return (event.merchant, cast("_AboutClaim", event).claim_id) if type(event) in _ABOUT_A_CLAIM else None


@dataclass(slots=True)
class Desk:
    """What is known and what came of it. `currency_of` gives the currency of a merchant's policy, null without one."""

    now: datetime
    parking: timedelta
    currency_of: Callable[[str], str | None]
    orders: dict[OrderKey, OrderState] = field(default_factory=dict)
    owners: dict[ClaimKey, str] = field(default_factory=dict)
    seen: dict[bytes, bytes] = field(default_factory=dict)
    waiting: dict[int, Letter] = field(default_factory=dict)
    _terms: dict[str, Terms] = field(default_factory=dict)
    _of_order: dict[OrderKey, dict[int, Arrival]] = field(default_factory=lambda: defaultdict(dict))
    _of_claim: dict[ClaimKey, dict[int, Arrival]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, letter: Letter) -> None:
        """Add a letter that waits."""
        arrival = letter.arrival
        self.waiting[arrival.ref] = letter
        self._of_order[order_key(arrival.event)][arrival.ref] = arrival
        if claim := claim_key(arrival.event):
            self._of_claim[claim][arrival.ref] = arrival

    def judge(self, letter: Letter) -> tuple[Effect, ...]:
        """Judge an event. One that is buried leaves no trace: it can be sent again once what was wrong is right."""
        for mark in letter.marks:
            known = self.seen.get(mark.key)
            if known is None:
                continue
            if known != mark.digest:
                reason = f"{mark.what} came before with other data; the first stands"
                return (Bury(letter.arrival.ref, reason, mark.path),)
            self._remember(letter)
            return (Count("duplicate"),)
        effects = self._admit(letter)
        buried = {effect.ref for effect in effects if isinstance(effect, Bury)}
        if letter.arrival.ref not in buried:
            self._remember(letter)
        return effects

    def refuse_overdue(self, key: OrderKey) -> tuple[Effect, ...]:
        """Refuse the claims whose order has not come in time."""
        arrivals = self._arrivals(self._of_order[key].values())
        before = State(self.orders[key], self._owners_of(arrivals), arrivals)
        after, effects = expire(before, self.now)
        self._keep(key, before, after, None)
        return effects

    def _admit(self, letter: Letter) -> tuple[Effect, ...]:
        arrival = letter.arrival
        key = order_key(arrival.event)
        arrivals = self._bearing_on(arrival.event)
        before = State(self.orders[key], self._owners_of((*arrivals, arrival)), arrivals)
        terms = self._terms.get(key[0])
        if terms is None:
            terms = self._terms[key[0]] = Terms(self.parking, self.currency_of(key[0]))
        try:
            after, effects = admit(before, arrival, self.now, terms)
        except Exception as bug:
            return (Bury(arrival.ref, f"handler: {type(bug).__name__}: {bug}", bug=bug),)
        released = self._keep(key, before, after, letter)
        for effect in effects:
            if isinstance(effect, Bury) and effect.ref in released:
                self._forget(released[effect.ref])
        return effects

    def _bearing_on(self, event: Input) -> tuple[Arrival, ...]:
        """What waits for the order that has come, or for the claim that the event is about."""
        if not self.waiting:
            return ()
        found: dict[int, Arrival] = {}
        if isinstance(event, OrderPlaced):
            found.update(self._of_order[order_key(event)])
            for arrival in list(found.values()):
                if isinstance(arrival.event, ClaimSubmitted):
                    found.update(self._of_claim[event.merchant, arrival.event.claim_id])
        elif claim := claim_key(event):
            found.update(self._of_claim[claim])
        return self._arrivals(found.values())

    @staticmethod
    def _arrivals(found: Iterable[Arrival]) -> tuple[Arrival, ...]:
        return tuple(sorted(found, key=lambda arrival: arrival.ref))

    def _owners_of(self, arrivals: Iterable[Arrival]) -> dict[str, str]:
        owners: dict[str, str] = {}
        for arrival in arrivals:
            claim = claim_key(arrival.event)
            if claim is not None and (owner := self.owners.get(claim)) is not None:
                owners[claim[1]] = owner
        return owners

    def _keep(self, key: OrderKey, before: State, after: State, letter: Letter | None) -> dict[int, Letter]:
        """Take over what the judgement changed; returns the letters that wait no longer."""
        self.orders[key] = after.order
        for claim_id, owner in after.owners.items():
            self.owners[key[0], claim_id] = owner
        if not before.waiting and not after.waiting:
            return {}
        still = {arrival.ref: arrival for arrival in after.waiting}
        released: dict[int, Letter] = {}
        for arrival in before.waiting:
            if arrival.ref not in still:
                released[arrival.ref] = self.waiting.pop(arrival.ref)
                del self._of_order[order_key(arrival.event)][arrival.ref]
                if claim := claim_key(arrival.event):
                    del self._of_claim[claim][arrival.ref]
        if letter is not None and letter.arrival.ref in still:
            self.put(Letter(still[letter.arrival.ref], letter.marks))
        return released

    def _remember(self, letter: Letter) -> None:
        for mark in letter.marks:
            self.seen[mark.key] = mark.digest

    def _forget(self, letter: Letter) -> None:
        for mark in letter.marks:
            self.seen.pop(mark.key, None)
