"""What refund-calculation knows of an order: its ledger, its payments, and every claim with what was decided and given.

All values are immutable; a change makes a new one. Amounts are minor units of the ledger's currency.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from shared.events.parts import BreakdownKind, Outcome
from shared.ledger import Ledger
from shared.pricing import ITEMS, Item, Items, total

Status = Literal["none", "instructed", "succeeded", "failed", "void"]
"""Of a decision's refund. `none`: nothing was to be paid. `failed`: a person has still to decide about it. `void`: it
failed, and the staff decision after it has taken its place."""

NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})
"""What a member is that holds nothing yet."""


class Draw(Struct, frozen=True, array_like=True, gc=False):
    """A part of a refund and the payment it goes back to, by its place in the order; None: beyond the payments."""

    payment: int | None
    amount: int


class Decision(Struct, frozen=True, array_like=True, gc=False):
    """One decision of a claim. `items` are differences to the decisions before it; `beside` is the return postage in
    them that stands beside a staff amount and is no part of it. `settled_at` is RFC 3339 in UTC, empty before."""

    number: int
    outcome: Outcome
    by: str
    items: Items = NOTHING
    beside: int = 0
    refund_id: str | None = None
    draws: tuple[Draw, ...] = ()
    status: Status = "none"
    settled_at: str = ""

    @property
    def by_staff(self) -> bool:
        return self.by != "policy"

    @property
    def given(self) -> bool:
        """Whether its money counts as given: a refund that failed does not (POLICIES, *Failed settlement*)."""
        return self.status not in ("failed", "void")


class Claim(Struct, frozen=True, gc=False):
    """One claim. `units`: unit numbers by line, ascending. `held`: the lines whose units its refund covers. `answer`:
    the seller's answer that its last decision was made under. `assessment`: what is kept of the last one read, or empty
    (`reading.Kept`)."""

    claim_id: str
    reason: str
    units: Mapping[str, tuple[int, ...]]
    parts: Mapping[str, str] = NOTHING
    revision: int = 0
    assessment: bytes = b""
    answer: str | None = None
    held: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    returns: tuple[str, ...] = ()
    reviews: tuple[str, ...] = ()

    @property
    def last(self) -> Decision | None:
        """The decision in force, or None while the claim is open."""
        return self.decisions[-1] if self.decisions else None

    @property
    def outcome(self) -> Outcome | None:
        return self.decisions[-1].outcome if self.decisions else None

    @property
    def by_staff(self) -> bool:
        """A person has decided about it: from then on the policy decides nothing more."""
        return any(decision.by_staff for decision in self.decisions)

    @property
    def in_review(self) -> bool:
        """A refund of it failed and no person has decided since."""
        return any(decision.status == "failed" for decision in self.decisions)

    @property
    def open(self) -> bool:
        return not self.decisions or self.in_review

    def given(self) -> dict[BreakdownKind, Item]:
        """What it was given, by item: the sum of its decisions without refunds that failed; nothing that is 0."""
        if not self.decisions:
            return {}
        return add(decision.items for decision in self.decisions if decision.given)

    def committed(self) -> dict[BreakdownKind, Item]:
        """As `given`, with the refunds that failed and wait for a person."""
        return add(decision.items for decision in self.decisions if decision.status != "void")

    def covered(self) -> dict[str, tuple[int, ...]]:
        """The units that its refund covers; empty unless its outcome is a refund."""
        if self.outcome != "refund":
            return {}
        return {line_id: self.units[line_id] for line_id in self.held}

    def of_lines(self, line_ids: Iterable[str]) -> dict[str, tuple[int, ...]]:
        """Its units of these lines."""
        return {line_id: self.units[line_id] for line_id in line_ids}


class Payment(Struct, frozen=True, array_like=True, gc=False):
    """A payment of the order, as placed."""

    payment_id: str
    provider: str
    amount: int


class Early(Struct, frozen=True, array_like=True, gc=False):
    """An event about a claim whose admission has not been read yet: its CloudEvents type and its data as it came."""

    type: str
    data: bytes


class Order(Struct, frozen=True, gc=False):
    """One order. `ledger` is None until a claim of it was admitted; `carrier` is written as rules compare it."""

    merchant: str
    order_id: str
    ledger: Ledger | None = None
    carrier: str = ""
    rate: tuple[str, str] | None = None
    """The exchange currency and how much of the order's currency was paid for one of it."""
    payments: tuple[Payment, ...] = ()
    claims: Mapping[str, Claim] = NOTHING
    early: Mapping[str, tuple[Early, ...]] = NOTHING

    def the_ledger(self) -> Ledger:
        """The ledger of an order that has one; every claim in `claims` was admitted with it."""
        if self.ledger is None:
            raise LookupError(f"order {self.order_id} has no ledger yet")
        return self.ledger

    def with_claim(self, claim: Claim) -> "Order":
        return replace(self, claims={**self.claims, claim.claim_id: claim})

    def others(self, claim: Claim) -> Iterator[Claim]:
        """The order's other claims."""
        return (other for other in self.claims.values() if other.claim_id != claim.claim_id)

    def has_others(self, claim: Claim) -> bool:
        """Whether there are other claims; an admitted `claim` of most orders is its only one."""
        return len(self.claims) > 1 or claim.claim_id not in self.claims

    def left(self) -> int:
        """What is left of the order's payments, return postage aside: it lies outside that cap (POLICIES, Money)."""
        given = sum([goods_total(claim.given()) for claim in self.claims.values() if claim.decisions])
        return self.the_ledger().deposit - given

    def room(self) -> list[int]:
        """What each payment can still take back."""
        room = [payment.amount for payment in self.payments]
        for claim in self.claims.values():
            for decision in claim.decisions:
                if decision.given:
                    for draw in decision.draws:
                        if draw.payment is not None:
                            room[draw.payment] -= draw.amount
        return room


def add(many: Iterable[Items]) -> dict[BreakdownKind, Item]:
    """The sum of several sets of items, in the breakdown's order, without those that come to 0."""
    sums: dict[BreakdownKind, Item] = {}
    for items in many:
        for name, item in items.items():
            before = sums.get(name)
            sums[name] = Item(item.amount + before.amount, item.payer, item.clause) if before else item
    return {name: sums[name] for name in ITEMS if name in sums and sums[name].amount}


def difference(target: Items, given: Items) -> Items:
    """What leads from `given` to `target`, item by item; an item that is no more cites what it was given under."""
    if not given:
        return target
    changes: dict[BreakdownKind, Item] = {}
    for name in ITEMS:
        new, old = target.get(name), given.get(name)
        amount = (new.amount if new else 0) - (old.amount if old else 0)
        source = new or old
        if amount and source is not None:
            changes[name] = Item(amount, source.payer, source.clause)
    return changes


def postage_of(items: Items) -> int:
    """The return postage in `items`."""
    item = items.get("return_postage")
    return item.amount if item is not None else 0


def goods_total(items: Items) -> int:
    """What `items` add up to without return postage."""
    return total(items) - postage_of(items)
