"""5,000 claims at once, two copies of every service, and services killed on the way: none lost, none decided twice."""

import asyncio
import re
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.conftest import MakeStack
from tests.stack import Message, Received, Stack, event, eventually

CLAIMS = 5000
READ_WHOLE = 100  # a bite of a sweep, six a minute and process, counts as one; a statement of every batch, as thousands
KILLED = (("refund-calculation", 1), ("eligibility", 2))
ORDER_PLACED = "2026-11-01T09:00:00+03:30"


@dataclass(frozen=True)
class Way:
    """One kind of claim: what else is published for it, and where it has to end."""

    merchant: str
    reason: str
    facts: dict[str, Any]
    follow_up: str
    ends: str
    amount: str | None


WAYS = (
    Way("gejet-mall", "out_of_stock", {}, "", "refund", "1200000"),
    Way("gejet-mall", "withdrawal", {"packaging_opened": True}, "", "rejected", None),
    Way("gejet-mall", "withdrawal", {"packaging_opened": False}, "return", "refund", "970000"),
    Way("gejet-mall", "technical_fault", {"carton": "intact", "misuse": False}, "", "awaiting return", None),
    Way("gejet-mall", "other", {}, "", "awaiting review", None),
    Way("hakago", "missing_quantity", {}, "refund_full", "refund", "1200000"),
    Way("hakago", "wrong_item", {}, "resend", "replacement", None),
    Way("hakago", "wrong_item", {}, "", "awaiting seller", None),
)


def events_of(number: int, run: str) -> Iterable[Message]:
    """The events of one claim, the answer or return before the claim is through."""
    way = WAYS[number % len(WAYS)]
    ids = {"merchant": way.merchant, "order_id": f"{run}-o{number}"}
    of_claim = ids | {"claim_id": f"{run}-c{number}"}
    currency = "IRR" if way.merchant == "gejet-mall" else "VND"
    yield event(
        "order.placed.v1",
        ids
        | {
            "placed_at": ORDER_PLACED,
            "currency": currency,
            "customer": {"customer_id": f"k{number % 97}", "locale": "vi-VN"}
            | ({"email": f"k{number}@example.com"} if number % 5 == 0 else {}),
            "lines": [{"line_id": "1", "sku": "S", "title": "T", "quantity": 1, "unit_price": "1000000"}],
            "discount": "0",
            "shipping": {"amount": "150000", "carrier": "post", "collect": False},
            "transaction_fee": "50000",
            "payments": [{"payment_id": "p", "provider": "card", "amount": "1200000"}],
        },
    )
    yield event("order.delivered.v1", ids | {"received_at": "2026-11-02T09:00:00+03:30"})
    yield event(
        "claim.submitted.v1",
        of_claim
        | {
            "reported_at": "2026-11-02T20:00:00+03:30",
            "channel": "web",
            "reason": way.reason,
            "lines": [{"line_id": "1", "quantity": 1}],
            "facts": way.facts,
        },
    )
    if way.follow_up == "return":
        yield event(
            "return.received.v1",
            of_claim
            | {
                "return_id": f"{run}-r{number}",
                "received_at": "2026-11-05T09:00:00+03:30",
                "lines": [{"line_id": "1", "quantity": 1}],
                "inspection": {"packaging_opened": False},
            },
        )
    elif way.follow_up:
        yield event(
            "seller.answered.v1",
            of_claim
            | {
                "answer_id": f"{run}-a{number}",
                "answered_at": "2026-11-04T09:00:00+07:00",
                "answer": way.follow_up,
            },
        )


def once(records: Iterable[Received]) -> list[Received]:
    """Without the repeats of at-least-once topics: same source, same id."""
    return list({(r.header("ce_source"), r.id): r for r in records}.values())


def lanes_owned(stack: Stack, service: str, replica: int) -> float:
    """The gauge of the process, from its own metrics."""
    url = f"http://127.0.0.1:{stack.service(service, replica).health}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        found = re.search(rf'makegood_lanes_owned{{service="{service}"}} ([0-9.]+)', answer.read().decode())
    return float(found[1]) if found else 0.0


async def outbox_left(stack: Stack) -> int:
    left = 0
    for service in ("intake", "eligibility", "refund-calculation", "notification"):
        conn = await asyncpg.connect(stack.dsn(service))
        try:
            left += int(await conn.fetchval("SELECT count(*) FROM outbox"))
        finally:
            await conn.close()
    return left


async def read_whole(stack: Stack) -> dict[str, int]:
    """How often a table that grows with the claims was read from end to end, where that was more than a few times."""
    often: dict[str, int] = {}
    for service in ("intake", "eligibility", "refund-calculation", "notification"):
        conn = await asyncpg.connect(stack.dsn(service))
        try:
            rows = await conn.fetch(
                "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE n_tup_ins > 1000 AND relname <> 'outbox'"
            )
        finally:
            await conn.close()
        often |= {f"{service}.{row['relname']}": row["seq_scan"] for row in rows if row["seq_scan"] > READ_WHOLE}
    return often


def ended(run: str) -> Callable[[list[Received]], bool]:
    """Every claim has its decision or waits for what it should wait for."""
    expected = {f"{run}-c{n}": WAYS[n % len(WAYS)].ends for n in range(CLAIMS)}

    def check(records: list[Received]) -> bool:
        # A killed service's successor publishes again what was not marked: the last copy is not the latest event.
        return ends(once(records)) == expected

    return check


def ends(records: Iterable[Received]) -> dict[str, str]:
    """Where each claim stands: its last decision, otherwise what it waits for."""
    found: dict[str, str] = {}
    for record in records:
        if record.type == "claim.assessed.v1" and record.data["awaiting"]:
            found.setdefault(record.data["claim_id"], f"awaiting {record.data['awaiting']}")
            if found[record.data["claim_id"]].startswith("awaiting"):
                found[record.data["claim_id"]] = f"awaiting {record.data['awaiting']}"
    for record in records:
        if record.type == "claim.decided.v1":
            found[record.data["claim_id"]] = record.data["outcome"]
    return found


async def test_two_copies_share_the_work_and_kills_lose_nothing(make_stack: MakeStack, unique: str) -> None:
    stack = make_stack(replicas=2)
    for service in ("intake", "eligibility", "refund-calculation", "notification"):
        shares = [lanes_owned(stack, service, replica) for replica in (1, 2)]
        assert min(shares) > 0, f"{service}: one copy has no lanes: {shares}"

    publishing = asyncio.create_task(
        stack.publish(message for number in range(CLAIMS) for message in events_of(number, unique))
    )
    for service, replica in KILLED:
        await eventually(lambda name=service: busy(stack, name), 60, why=f"{service} is at work")  # type: ignore[misc]
        await stack.kill(service, replica, signal.SIGKILL)
    await publishing

    mine = lambda r: r.type in ("claim.assessed.v1", "claim.decided.v1")  # noqa: E731
    records = await stack.collect(["assessments.v1", "decisions.v1"], ended(unique), match=mine, limit=150)
    await stack.quiet(90)
    for service, replica in KILLED:
        assert stack.service(service, replica).restarts >= 1

    decided = once(r for r in records if r.type == "claim.decided.v1")
    per_claim = Counter(r.data["claim_id"] for r in decided)
    assert max(per_claim.values()) == 1, "a claim was decided twice"

    refunds = await stack.collect("refunds.v1", lambda _: True, limit=60)
    refunds = await stack.collect("refunds.v1", lambda found: len(found) >= instructed(decided), limit=60)
    assert len(refunds) == instructed(decided), "instructions are there once, repeats and all"
    amounts = {r.data["claim_id"]: r.data["amount"] for r in refunds}
    for number in range(CLAIMS):
        assert amounts.get(f"{unique}-c{number}") == WAYS[number % len(WAYS)].amount
    await eventually(lambda: _empty(stack), 30, why="every outbox is empty")
    assert await read_whole(stack) == {}


async def _empty(stack: Stack) -> bool:
    return await outbox_left(stack) == 0


def instructed(decided: Iterable[Received]) -> int:
    return sum(1 for r in decided if r.data["refund"] and r.data["refund"]["refund_id"])


async def busy(stack: Stack, service: str) -> bool:
    """The service has written a good part of what it will write."""
    conn = await asyncpg.connect(stack.dsn(service))
    try:
        return int(await conn.fetchval("SELECT count(*) FROM history")) > CLAIMS // 10
    finally:
        await conn.close()
