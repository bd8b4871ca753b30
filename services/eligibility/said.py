"""What eligibility says, as JSON: `claim.assessed.v1` member by member as in `shared.events.ClaimAssessed`, without
checking again what was made here (the tests read every one of them with the contract's model).

The lines are put together from prepared pieces. A piece holds a NUL, which no text has, where the time between receipt
and report goes: it alone differs between claims that are otherwise the same case.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from services.eligibility.reading import Money, ReadingShown
from shared.events.parts import Awaiting, ClaimReason, Fault, Payer, SellerAnswer, Verdict, Wants
from shared.policy.judge import Effect, Finding

Status = Literal["awaiting", "eligible", "rejected"]

SPAN: Final = "\0"
"""Stands in a text for the time between receipt and report."""

NO_POLICY: Final = Raw(b"null")


class BasisAnswer(Struct):
    answer_id: str
    answered_at: datetime
    answer: SellerAnswer
    amount: Money | None


class BasisPostage(Struct):
    return_id: str
    amount: str
    payer: Payer
    rule: str
    clause: str | None


class Basis(Struct):
    revision: int
    reason: ClaimReason
    wants: Wants
    reported_at: datetime
    remedy: Wants | None
    answer: BasisAnswer | None
    postage: tuple[BasisPostage, ...]
    return_required: bool
    fault: Fault | None
    returned: dict[str, int]


class Assessed(Struct):
    """`lines` and `policy` are JSON already."""

    claim_id: str
    merchant: str
    order_id: str
    status: Status
    awaiting: Awaiting | None
    since: datetime
    due: datetime | None
    overdue: bool
    authorization: str | None
    lines: Raw
    remedy: Wants | None
    readings: tuple[ReadingShown, ...]
    policy: Raw
    basis: Basis


_JSON: Final = msgspec.json.Encoder()


def as_json(assessed: Assessed) -> bytes:
    """The data of the event."""
    return _JSON.encode(assessed)


@lru_cache(maxsize=4096)
def reason(rule: str, clause: str | None, effect: Effect, text: str) -> str:
    """One reason. The same are given again and again: each is written once."""
    parts = ",".join(f'"{name}":{_quoted(part)}' for name, part in zip(_REASON, (rule, clause, effect), strict=True))
    return f'{{{parts},"text":{_with_span(text)}}}'


def reasons(findings: Iterable[Finding]) -> str:
    """The findings about a line as its reasons, without the brackets."""
    return ",".join([reason(one.rule, one.clause, one.effect, one.text) for one in findings])


def line(quantity: int, verdict: Verdict, given: str) -> str:
    """A line but for its id; `given`: its reasons."""
    return f',"quantity":{quantity},"verdict":"{verdict}","reasons":[{given}]}}'


def lines(ids: Iterable[str], rest: Iterable[str], span: str) -> Raw:
    """All lines of a claim, each by its id and the piece that is its rest."""
    told = ",".join([f'{{"line_id":{_quoted(line_id)}{one}' for line_id, one in zip(ids, rest, strict=True)])
    return Raw(f"[{told.replace(SPAN, span)}]".encode())


@lru_cache(maxsize=64)
def policy(merchant: str, version: int, digest: str) -> Raw:
    """The policy version that governs."""
    return Raw(_JSON.encode({"id": merchant, "version": version, "digest": digest}))


_REASON: Final = ("rule", "clause", "effect")


def _quoted(text: str | None) -> str:
    return _JSON.encode(text).decode()


def _with_span(text: str) -> str:
    return f'"{SPAN.join(_quoted(part)[1:-1] for part in text.split(SPAN))}"'
