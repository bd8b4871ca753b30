"""A stage for eligibility's pure part: one claim, told in a few words, under the real policies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from services.eligibility.domain import assess
from services.eligibility.facts import ClaimState, look_again, restored, tell, written
from shared.events import ClaimAssessed, ClaimDecided, parse_data
from shared.policy.book import PolicyBook
from shared.policy.load import load_book

RECEIVED = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
NOW = datetime(2026, 10, 20, 9, 0, tzinfo=UTC)
CURRENCIES = {"gejet-mall": "IRR", "hakago": "VND"}
GOOD = {"carton": "intact", "packaging_opened": False, "seal": "unopened", "misuse": False, "regional_variant": False}
"""What a customer states who has done everything right."""


@cache
def book() -> PolicyBook:
    return load_book()


@dataclass
class Stage:
    """One claim, and what eligibility has said of it. The state goes through JSON at every step, as in production."""

    reason: str = "technical_fault"
    merchant: str = "gejet-mall"
    wants: str | None = None
    reported: timedelta = timedelta(hours=10)
    reported_at: datetime | None = None
    received_at: datetime | None = RECEIVED
    placed_at: datetime = datetime(2026, 10, 1, tzinfo=UTC)
    facts: Mapping[str, object] | None = None
    lines: Sequence[Mapping[str, object]] = ({},)
    claimed: Sequence[Mapping[str, object]] | None = None
    carrier: str = "post"
    shipping: str = "500000"
    now: datetime = NOW
    policies: PolicyBook = field(default_factory=book)
    state: ClaimState = field(init=False)
    said: list[ClaimAssessed] = field(default_factory=list)
    answers: int = 0

    def __post_init__(self) -> None:
        self.state = ClaimState(merchant=self.merchant, order_id="o-1", claim_id="c-1")

    # --- what comes in ---

    def tell(self, type_: str, **data: object) -> ClaimAssessed | None:
        """One event, as JSON; the assessment that it led to."""
        ids = {"merchant": self.merchant, "order_id": "o-1"}
        if not type_.startswith("order."):
            ids["claim_id"] = "c-1"
        event = parse_data(type_, _json({**ids, **data}))
        before = self.state
        after = tell(before, event)  # type: ignore[arg-type]
        return None if after is before else self._assess(after)

    def admit(self) -> ClaimAssessed | None:
        return self.tell(
            "claim.admitted.v1",
            claim={
                "claim_id": "c-1",
                "merchant": self.merchant,
                "order_id": "o-1",
                "reported_at": (self.reported_at or RECEIVED + self.reported).isoformat(),
                "channel": "web",
                "reason": self.reason,
                "wants": self.wants,
                "facts": self.facts,
                "lines": [
                    {"line_id": str(number), "quantity": line.get("quantity", 1)}
                    for number, line in enumerate(self.lines, 1)
                ]
                if self.claimed is None
                else list(self.claimed),
            },
            order=self._order(),
            admitted_at=self.now.isoformat(),
            units={},
        )

    def _order(self) -> dict[str, object]:
        lines = []
        paid = int(self.shipping)
        for number, line in enumerate(self.lines, 1):
            placed = {"line_id": str(number), "sku": "s", "title": "t", "quantity": 1, "unit_price": "1000000"} | dict(
                line
            )
            lines.append(placed)
            paid += int(str(placed["quantity"])) * int(str(placed["unit_price"])) - int(str(placed.get("discount", 0)))
        return {
            "merchant": self.merchant,
            "order_id": "o-1",
            "placed_at": self.placed_at.isoformat(),
            "received_at": self.received_at and self.received_at.isoformat(),
            "currency": CURRENCIES.get(self.merchant, "USD"),
            "customer": {"customer_id": "cu-1", "locale": None},
            "lines": lines,
            "discount": "0",
            "shipping": {"amount": self.shipping, "carrier": self.carrier, "collect": False},
            "transaction_fee": "0",
            "payments": [{"payment_id": "p-1", "provider": "bank", "amount": str(paid)}],
            "exchange": {"currency": "USD", "rate": "25000"},
        }

    def deliver(self, at: datetime = RECEIVED) -> ClaimAssessed | None:
        return self.tell("order.delivered.v1", received_at=at.isoformat())

    def answer(
        self, answer: str, *, hour: int | None = None, amount: str | None = None, name: str | None = None
    ) -> ClaimAssessed | None:
        """The seller's answer, given `hour` hours after the order's receipt (left out: later than all before)."""
        self.answers += 1
        at = RECEIVED + timedelta(hours=self.answers if hour is None else hour)
        money = None if amount is None else {"amount": amount, "currency": CURRENCIES.get(self.merchant, "USD")}
        return self.tell(
            "seller.answered.v1",
            answer_id=name or f"a-{self.answers}",
            answered_at=at.isoformat(),
            answer=answer,
            amount=money,
        )

    def give_back(
        self,
        lines: Mapping[str, int] | None = None,
        *,
        name: str = "r-1",
        fault: str | None = None,
        postage: tuple[str, str] | None = None,
        **inspection: object,
    ) -> ClaimAssessed | None:
        given = lines or {str(n): int(str(line.get("quantity", 1))) for n, line in enumerate(self.lines, 1)}
        return self.tell(
            "return.received.v1",
            return_id=name,
            received_at=self.now.isoformat(),
            lines=[{"line_id": line_id, "quantity": quantity} for line_id, quantity in given.items()],
            inspection=inspection,
            fault=fault,
            postage=None if postage is None else {"amount": postage[0], "paid_by": postage[1]},
        )

    def review(self, name: str = "v-1") -> ClaimAssessed | None:
        return self.tell(
            "claim.reviewed.v1",
            review_id=name,
            reviewed_at=self.now.isoformat(),
            actor="mina",
            reason="seen",
            verdict="reject",
            amount=None,
        )

    def refuse_review(self, name: str = "v-1") -> ClaimAssessed | None:
        errors = [{"code": "above-what-is-left", "path": "$.amount", "message": "too much"}]
        return self.tell("review.refused.v1", review_id=name, errors=errors)

    def cancel(self) -> ClaimAssessed | None:
        return self.tell("claim.cancelled.v1", cancelled_at=self.now.isoformat(), by="customer")

    def decide(
        self, outcome: str, *, by: str = "policy", no: int = 1, revision: int | None = None
    ) -> ClaimAssessed | None:
        """refund-calculation's decision; by policy on the last assessment unless `revision` says another."""
        on = None if by != "policy" else (revision or self.state.revision)
        return self.tell(
            ClaimDecided.type,
            decision_no=no,
            follows=no - 1 or None,
            outcome=outcome,
            lines=[],
            refund=None,
            replacement=None,
            policy=None,
            readings=[],
            decided_by=by,
            decided_at=self.now.isoformat(),
            revision=on,
        )

    def refer(self, entry: str, *, revision: int | None = None) -> ClaimAssessed | None:
        alternatives = [{"reading": "one", "result": "refund", "amount": "1"}]
        shown = [{"entry": entry, "chosen": None, "alternatives": alternatives}]
        return self.tell("claim.referred.v1", entry=entry, readings=shown, revision=revision or self.state.revision)

    def settle(self, status: str) -> ClaimAssessed | None:
        return self.tell(
            "claim.settled.v1",
            refund_id="f-1",
            status=status,
            provider_reference=None,
            settled_at=self.now.isoformat(),
            failure_reason=None,
        )

    def wait(self, passed: timedelta) -> ClaimAssessed | None:
        """Time passes; the claim is looked at again only where it asked for it."""
        self.now += passed
        due = look_again(self.state)
        return self._assess(self.state) if due is not None and due < self.now else None

    # --- what came out ---

    @property
    def last(self) -> ClaimAssessed:
        return self.said[-1]

    @property
    def end(self) -> str:
        return self.last.awaiting or self.last.status

    def cited(self, effect: str) -> set[str]:
        return {
            reason.clause or reason.rule
            for line in self.last.lines
            for reason in line.reasons
            if reason.effect == effect
        }

    def entries(self) -> dict[str, dict[str, tuple[str, str | None]]]:
        return {
            shown.entry: {one.reading: (one.result, one.amount) for one in shown.alternatives}
            for shown in self.last.readings
        }

    def _assess(self, state: ClaimState) -> ClaimAssessed | None:
        state, assessed = assess(state, self.policies, self.now)
        self.state = restored(written(state))
        assert self.state == state, "a state reads as it was written"
        if assessed is not None:
            self.said.append(assessed)
        return assessed


def _json(data: Mapping[str, Any]) -> bytes:
    import json

    return json.dumps(data).encode()
