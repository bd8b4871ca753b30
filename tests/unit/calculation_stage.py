"""A stage for refund-calculation's pure part: orders, claims, assessments in a few words, under the real policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from pydantic_core import to_json

from services.refund_calculation.codec import decode, encode
from services.refund_calculation.domain import calculate
from services.refund_calculation.state import Order
from shared.events import (
    AssessedLine,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimCancelled,
    ClaimDecided,
    ClaimReferred,
    ClaimReviewed,
    ClaimSettled,
    Event,
    PolicyRef,
    Reason,
    RefundInstructed,
    RefundSettled,
    ReturnReceived,
    ReviewRefused,
)
from shared.events.parts import Verdict
from shared.policy.book import PolicyBook
from shared.policy.load import load_book

START = datetime(2026, 10, 1, 9, 0, tzinfo=UTC)
CURRENCIES = {"gejet-mall": "IRR", "hakago": "VND"}
VERDICTS: dict[str, Verdict] = {"eligible": "eligible", "rejected": "rejected", "awaiting": "undecided"}


@cache
def book() -> PolicyBook:
    return load_book()


@dataclass(frozen=True)
class Line:
    """An order line: unit price, quantity, the line's own discount."""

    price: int
    quantity: int = 1
    discount: int = 0
    gift: bool = False


@dataclass
class Stage:
    """One order, and what refund-calculation has said of it so far. Every event goes through the codec, so that what
    is tested is what a restart would read."""

    merchant: str = "gejet-mall"
    lines: Sequence[Line] = (Line(10_000_000),)
    code: int = 0
    shipping: int = 500_000
    collect: bool = False
    fee: int = 0
    carrier: str = "post"
    payments: Sequence[int] | None = None
    exchange: tuple[str, str] | None = None
    order: Order = field(init=False)
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    clock: datetime = START
    claims: dict[str, tuple[str, dict[str, list[int]]]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = Order(self.merchant, "o-1")

    # --- what comes in ---

    def take(self, event: Event) -> list[Event]:
        """The events that come of it."""
        self.clock += timedelta(seconds=1)
        done = calculate(self.order, event, book(), self.clock)
        self.order = decode(self.merchant, "o-1", encode(done.order))
        assert self.order == done.order, "the codec keeps everything"
        self.events += done.events
        self.notes += [note for _, note in done.notes]
        return list(done.events)

    @property
    def currency(self) -> str:
        return CURRENCIES[self.merchant]

    @property
    def deposit(self) -> int:
        goods = sum(line.price * line.quantity - line.discount for line in self.lines) - self.code
        return goods + (0 if self.collect else self.shipping) + self.fee

    def placed(self) -> dict[str, object]:
        payments = [self.deposit] if self.payments is None else self.payments
        return {
            "merchant": self.merchant,
            "order_id": "o-1",
            "placed_at": START.isoformat(),
            "received_at": None,
            "currency": self.currency,
            "customer": {"customer_id": "c"},
            "lines": [
                {
                    "line_id": str(number),
                    "sku": "s",
                    "title": "t",
                    "quantity": line.quantity,
                    "unit_price": str(line.price),
                    "discount": str(line.discount),
                    "gift": line.gift,
                }
                for number, line in enumerate(self.lines, 1)
            ],
            "discount": str(self.code),
            "shipping": {"amount": str(self.shipping), "carrier": self.carrier, "collect": self.collect},
            "transaction_fee": str(self.fee),
            "payments": [
                {"payment_id": f"p-{number}", "provider": "bank", "amount": str(amount)}
                for number, amount in enumerate(payments, 1)
            ],
            "exchange": None if self.exchange is None else {"currency": self.exchange[0], "rate": self.exchange[1]},
        }

    def admission(
        self, claim: str, reason: str, units: Mapping[int, Sequence[int]], parts: Mapping[int, str] | None = None
    ) -> ClaimAdmitted:
        self.claims[claim] = (reason, {str(line): list(numbers) for line, numbers in units.items()})
        submitted = {
            "claim_id": claim,
            "merchant": self.merchant,
            "order_id": "o-1",
            "reported_at": START.isoformat(),
            "channel": "web",
            "reason": reason,
            "lines": [
                {"line_id": str(line), "quantity": len(numbers), "part": (parts or {}).get(line)}
                for line, numbers in units.items()
            ],
        }
        return ClaimAdmitted.model_validate_json(
            _json(
                {
                    "claim_id": claim,
                    "merchant": self.merchant,
                    "order_id": "o-1",
                    "claim": submitted,
                    "order": self.placed(),
                    "admitted_at": START.isoformat(),
                    "units": self.claims[claim][1],
                }
            )
        )

    def admit(
        self,
        claim: str = "a",
        reason: str = "technical_fault",
        units: Mapping[int, Sequence[int]] | None = None,
        parts: Mapping[int, str] | None = None,
    ) -> None:
        if units is None:
            units = {number: range(1, line.quantity + 1) for number, line in enumerate(self.lines, 1)}
        self.take(self.admission(claim, reason, units, parts))

    def assessment(
        self,
        claim: str = "a",
        status: str = "eligible",
        remedy: str | None = "refund",
        answer: tuple[str, str, tuple[str, str] | None] | None = None,
        postage: Mapping[str, int] | None = None,
        rejected: Sequence[int] = (),
        revision: int | None = None,
        awaiting: str | None = None,
        policy: bool = True,
        clause: str = "HW.3",
    ) -> ClaimAssessed:
        """`answer`: id, answer, and (amount, currency) or None; `postage`: return id → amount owed."""
        reason, units = self.claims.get(claim, ("late", {"1": [1]}))
        self.revisions[claim] = revision or self.revisions.get(claim, 0) + 1
        verdict = VERDICTS[status]
        lines = [
            AssessedLine(
                line_id=line_id,
                quantity=len(numbers),
                verdict="rejected" if int(line_id) in rejected else verdict,
                reasons=[Reason(rule="judged", clause="G1.1", effect="info", text="judged by eligibility")],
            )
            for line_id, numbers in units.items()
        ]
        basis: dict[str, object] = {
            "revision": self.revisions[claim],
            "reason": reason,
            "wants": "refund" if remedy is None else remedy,
            "reported_at": START.isoformat(),
            "remedy": remedy,
            "answer": None
            if answer is None
            else {
                "answer_id": answer[0],
                "answered_at": START.isoformat(),
                "answer": answer[1],
                "amount": None if answer[2] is None else {"amount": answer[2][0], "currency": answer[2][1]},
            },
            "postage": [
                {"return_id": name, "amount": str(amount), "payer": "merchant", "rule": "postage", "clause": clause}
                for name, amount in (postage or {}).items()
            ],
        }
        version = book().version(self.merchant, 1)
        assert version is not None
        ref = PolicyRef(id=self.merchant, version=1, digest=version.digest)
        return ClaimAssessed.model_validate_json(
            _json(
                {
                    "claim_id": claim,
                    "merchant": self.merchant,
                    "order_id": "o-1",
                    "status": status,
                    "awaiting": awaiting if status == "awaiting" else None,
                    "since": START.isoformat(),
                    "due": None,
                    "overdue": False,
                    "authorization": None,
                    "lines": [line.model_dump() for line in lines],
                    "remedy": remedy if status == "eligible" else None,
                    "readings": [],
                    "policy": ref.model_dump() if policy else None,
                    "basis": basis,
                }
            )
        )

    def assess(self, claim: str = "a", **given: object) -> list[Event]:
        return self.take(self.assessment(claim, **given))  # type: ignore[arg-type]  # the same members as `assessment`

    def partial(self, amount: int | str, answer_id: str = "an-1", claim: str = "a", **given: object) -> list[Event]:
        currency = str(given.pop("currency", self.currency))
        return self.assess(claim, answer=(answer_id, "refund_partial", (str(amount), currency)), **given)

    def full(self, answer_id: str = "an-1", claim: str = "a", **given: object) -> list[Event]:
        return self.assess(claim, answer=(answer_id, "refund_full", None), **given)

    def refused_by_seller(self, postage: Mapping[str, int], claim: str = "a", answer_id: str = "an-9") -> list[Event]:
        return self.assess(
            claim,
            status="awaiting",
            awaiting="review",
            remedy=None,
            answer=(answer_id, "refuse", None),
            postage=postage,
        )

    def review(
        self, verdict: str = "refund", amount: int | None = None, claim: str = "a", review_id: str | None = None
    ) -> list[Event]:
        said: dict[str, object] = {
            "review_id": review_id or f"rv-{len(self.notes)}-{len(self.events)}",
            "claim_id": claim,
            "merchant": self.merchant,
            "order_id": "o-1",
            "reviewed_at": self.clock.isoformat(),
            "actor": "sara",
            "reason": "looked at by a person",
            "verdict": verdict,
            "amount": None if amount is None else {"amount": str(amount), "currency": self.currency},
        }
        return self.take(ClaimReviewed.model_validate_json(_json(said)))

    def cancel(self, claim: str = "a") -> list[Event]:
        return self.take(
            ClaimCancelled(
                claim_id=claim, merchant=self.merchant, order_id="o-1", cancelled_at=self.clock, by="customer"
            )
        )

    def settle(
        self, status: str = "succeeded", claim: str = "a", number: int = 1, at: datetime | None = None
    ) -> list[Event]:
        refund_id = next(
            one.refund_id for one in self.instructed() if one.claim_id == claim and one.decision_no == number
        )
        return self.take(self.settlement(refund_id, status, claim, at))

    def settlement(
        self, refund_id: str, status: str = "succeeded", claim: str = "a", at: datetime | None = None
    ) -> RefundSettled:
        return RefundSettled.model_validate(
            {
                "refund_id": refund_id,
                "merchant": self.merchant,
                "order_id": "o-1",
                "claim_id": claim,
                "status": status,
                "provider_reference": "bank-1",
                "settled_at": at or self.clock,
                "failure_reason": None,
            }
        )

    def returned(self, return_id: str, postage: int | None, claim: str = "a", paid_by: str = "customer") -> list[Event]:
        said: dict[str, object] = {
            "return_id": return_id,
            "claim_id": claim,
            "merchant": self.merchant,
            "order_id": "o-1",
            "received_at": self.clock.isoformat(),
            "lines": [{"line_id": "1", "quantity": 1}],
            "fault": "transport",
            "postage": None if postage is None else {"amount": str(postage), "paid_by": paid_by},
        }
        return self.take(ReturnReceived.model_validate_json(_json(said)))

    # --- what was said ---

    def decided(self, claim: str = "a") -> list[ClaimDecided]:
        return [one for one in self.events if isinstance(one, ClaimDecided) and one.claim_id == claim]

    def instructed(self, claim: str | None = None) -> list[RefundInstructed]:
        return [
            one for one in self.events if isinstance(one, RefundInstructed) and (claim is None or one.claim_id == claim)
        ]

    def referred(self, claim: str = "a") -> list[ClaimReferred]:
        return [one for one in self.events if isinstance(one, ClaimReferred) and one.claim_id == claim]

    def refusals(self) -> list[str]:
        return [error.code for one in self.events if isinstance(one, ReviewRefused) for error in one.errors]

    def settled(self) -> list[str]:
        return [one.status for one in self.events if isinstance(one, ClaimSettled)]


def breakdown(decided: ClaimDecided) -> dict[str, int]:
    """Item → amount, of a decision with a refund."""
    assert decided.refund is not None
    return {item.item: int(item.amount) for item in decided.refund.breakdown}


def clauses(decided: ClaimDecided) -> dict[str, str | None]:
    """Item → clause, of a decision with a refund."""
    assert decided.refund is not None
    return {item.item: item.clause for item in decided.refund.breakdown}


def back_to(instructed: RefundInstructed) -> dict[str, int]:
    """Payment → amount; `beyond` for the part beyond the payments."""
    return {one.payment_id or "beyond": int(one.amount) for one in instructed.payments}


def shown(referred: ClaimReferred, entry: str) -> dict[str, str | None]:
    """Reading → amount, of one entry."""
    return {one.reading: one.amount for each in referred.readings if each.entry == entry for one in each.alternatives}


def _json(value: object) -> bytes:
    return to_json(value)
