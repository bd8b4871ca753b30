"""Reads all topics and databases after a run, and proves that nothing was lost and nothing happened twice."""

import asyncio
import email
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.events.topics import INPUT_TOPICS, OUTPUT_TOPICS, dlq_topic
from tests.e2e.test_many_claims import ends, once
from tests.faults.workload import Workload
from tests.integration.delivery_bench import high_watermarks
from tests.stack import Received, Stack

READ_LIMIT = 120
SERVICES = ("intake", "eligibility", "refund-calculation", "notification")
INTERNAL = {
    "eligibility": ("admissions.v1", "decisions.v1"),
    "refund-calculation": ("admissions.v1", "assessments.v1"),
    "notification": ("contacts.v1", "admissions.v1", "assessments.v1", "decisions.v1"),
}
NEXT = {
    "": {"claim.parked.v1", "claim.admitted.v1", "claim.refused.v1"},
    "claim.parked.v1": {"claim.admitted.v1", "claim.refused.v1"},
    "claim.admitted.v1": {"claim.assessed.v1", "claim.decided.v1"},
    "claim.assessed.v1": {"claim.assessed.v1", "claim.decided.v1", "claim.referred.v1"},
    "claim.referred.v1": {"claim.assessed.v1", "claim.decided.v1"},
    "claim.decided.v1": {"claim.assessed.v1", "claim.decided.v1", "claim.settled.v1"},
    "claim.refused.v1": set[str](),
}


@dataclass
class Verdict:
    """What the checker found; empty is good."""

    wrong: list[str] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def expect(self, holds: object, what: str) -> None:
        """Note `what` where it does not hold."""
        if not holds:
            self.wrong.append(what)


async def check(stack: Stack, work: Workload) -> Verdict:
    """Check a stack that is at rest after a workload."""
    verdict = Verdict()
    topics = [*OUTPUT_TOPICS, *(dlq_topic(t, "intake") for t in INPUT_TOPICS)]
    topics += [dlq_topic(t, s) for s, read in INTERNAL.items() for t in read]
    records: list[Received] = []
    for topic in topics:
        records += await _everything(stack, topic)
    by_topic: dict[str, list[Received]] = defaultdict(list)
    for record in records:
        by_topic[record.topic].append(record)
    verdict.counted["records"] = len(records)

    _inputs(verdict, work, by_topic, await _intake(stack))
    _claims(verdict, work, by_topic)
    _refunds(verdict, work, by_topic)
    _repeats(verdict, by_topic)
    await _databases(verdict, stack, by_topic)
    _mails(verdict, stack, by_topic)
    return verdict


async def _everything(stack: Stack, topic: str) -> list[Received]:
    """Read a topic to its present end, committed records alone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        lanes = [
            TopicPartition(topic, lane)
            for lane in sorted(consumer.partitions_for_topic(topic) or await _lanes(consumer, topic))
        ]
        consumer.assign(lanes)
        end = await high_watermarks(stack.kafka, lanes)
        found: list[Received] = []
        async with asyncio.timeout(READ_LIMIT):
            while any([await consumer.position(lane) < end[lane] for lane in lanes]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += [Received(r.topic, r.partition, r.offset, r.key, r.value, dict(r.headers)) for r in batch]
        return found
    finally:
        await consumer.stop()


async def _lanes(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.add_topic(topic)
    await consumer._client.force_metadata_update()
    return set(consumer.partitions_for_topic(topic) or ())


def _inputs(
    verdict: Verdict, work: Workload, by_topic: Mapping[str, list[Received]], intake: Mapping[str, int]
) -> None:
    dead = sum(len(once_by_origin(by_topic[dlq_topic(t, "intake")])) for t in INPUT_TOPICS)
    verdict.counted |= {"good": work.good, "repeats": work.repeats, "poison": work.poison, "dead": dead, **intake}
    verdict.expect(dead == work.poison, f"{work.poison} poison records, {dead} dead letters")
    verdict.expect(
        intake["seen"] >= work.good, f"{work.good} good events, intake has seen {intake['seen']}: some are lost"
    )
    verdict.expect(
        intake["waiting"] == 0, f"{intake['waiting']} records still wait for an order or claim that has come"
    )
    for service, read in INTERNAL.items():
        for topic in read:
            letters = by_topic[dlq_topic(topic, service)]
            reasons = {r.header("dlq_reason")[:120] for r in letters}
            verdict.expect(not letters, f"{service} buried {len(letters)} records of {topic}: {reasons}")


def once_by_origin(letters: Iterable[Received]) -> set[tuple[str, str, str]]:
    """Dead letters by where they came from: a repeat of the relay is the same letter."""
    return {(r.header("dlq_topic"), r.header("dlq_partition"), r.header("dlq_offset")) for r in letters}


def _claims(verdict: Verdict, work: Workload, by_topic: Mapping[str, list[Received]]) -> None:
    told = {t: once(by_topic[t]) for t in ("admissions.v1", "assessments.v1", "decisions.v1")}
    admitted = Counter(r.data["claim_id"] for r in told["admissions.v1"] if r.type == "claim.admitted.v1")
    twice = [c for c, n in admitted.items() if n > 1]
    verdict.expect(not twice, f"admitted twice: {twice[:5]}")
    stood = ends([*told["assessments.v1"], *told["decisions.v1"]])
    wrong = {
        claim: (stood.get(claim), expected)
        for number in range(work.claims)
        if stood.get(claim := f"{work.run}-c{number}") != (expected := work.end_of(number)[0])
    }
    verdict.expect(not wrong, f"{len(wrong)} claims did not end where they should: {dict(list(wrong.items())[:5])}")
    decided = [r for r in told["decisions.v1"] if r.type == "claim.decided.v1"]
    numbers: dict[str, list[int]] = defaultdict(list)
    for record in decided:
        numbers[record.data["claim_id"]].append(record.data["decision_no"])
    gaps = {claim: found for claim, found in numbers.items() if found != list(range(1, len(found) + 1))}
    verdict.expect(not gaps, f"decision numbers out of order, missing or repeated: {dict(list(gaps.items())[:5])}")
    _paths(verdict, [r for topic in told.values() for r in topic])
    revisions: dict[str, list[int]] = defaultdict(list)
    for record in told["assessments.v1"]:
        revisions[record.data["claim_id"]].append(record.data["basis"]["revision"])
    disorder = [claim for claim, found in revisions.items() if found != sorted(set(found))]
    verdict.expect(not disorder, f"assessments out of order or repeated under another id: {disorder[:5]}")


def _paths(verdict: Verdict, records: Iterable[Received]) -> None:
    """Every claim's events, in the order of the pipeline's topics, make a way that the state machine allows."""
    rank = {"admissions.v1": 0, "assessments.v1": 1, "decisions.v1": 2}
    of_claim: dict[str, list[Received]] = defaultdict(list)
    for record in records:
        if record.type in NEXT or record.type == "claim.settled.v1":
            of_claim[record.data["claim_id"]].append(record)
    for claim, events in of_claim.items():
        events.sort(key=lambda r: (rank[r.topic], r.offset))
        at = ""
        for event in events:
            if event.topic == "assessments.v1" and at == "claim.decided.v1":
                at = "claim.admitted.v1"
            verdict.expect(event.type in NEXT.get(at, set()), f"{claim}: {event.type} after {at or 'nothing'}")
            at = event.type


def _refunds(verdict: Verdict, work: Workload, by_topic: Mapping[str, list[Received]]) -> None:
    refunds = by_topic["refunds.v1"]
    ids = Counter(r.data["refund_id"] for r in refunds)
    twice = [one for one, n in ids.items() if n > 1]
    verdict.expect(not twice, f"{len(twice)} instructions are on refunds.v1 more than once: {twice[:5]}")
    decided = {
        r.data["refund"]["refund_id"]: r.data["refund"]["amount"]
        for r in by_topic["decisions.v1"]
        if r.type == "claim.decided.v1" and r.data["refund"] and r.data["refund"]["refund_id"]
    }
    verdict.expect(set(ids) == set(decided), f"{len(decided)} refunds decided, {len(ids)} instructed")
    per_claim: dict[str, int] = defaultdict(int)
    for record in refunds:
        per_claim[record.data["claim_id"]] += int(record.data["amount"])
    wrong = [
        f"{work.run}-c{n}"
        for n in range(work.claims)
        if per_claim.get(f"{work.run}-c{n}", 0) != int(work.end_of(n)[1] or 0)
    ]
    verdict.expect(not wrong, f"{len(wrong)} claims were paid another amount than due: {wrong[:5]}")
    verdict.expect(all(total <= 1_200_000 for total in per_claim.values()), "an order got more than was paid for it")
    verdict.counted["instructions"] = len(refunds)


def _repeats(verdict: Verdict, by_topic: Mapping[str, list[Received]]) -> None:
    """First copies of a lane's numbers rise: whoever keeps one number per lane drops repeats only."""
    repeats = 0
    for topic in ("admissions.v1", "contacts.v1", "assessments.v1", "decisions.v1", "notifications.v1"):
        heard: dict[tuple[int, str, str], int] = {}
        known: set[tuple[str, str]] = set()
        for record in sorted(by_topic[topic], key=lambda r: (r.partition, r.offset)):
            lane, _, number = record.id.partition("-")
            origin = (record.partition, record.header("ce_source"), lane)
            if (record.header("ce_source"), record.id) in known:
                repeats += 1
                continue
            known.add((record.header("ce_source"), record.id))
            verdict.expect(
                int(number) > heard.get(origin, 0), f"{topic}: number {record.id} came first after a higher one"
            )
            heard[origin] = max(heard.get(origin, 0), int(number))
    verdict.counted["relay repeats"] = repeats


async def _intake(stack: Stack) -> dict[str, int]:
    conn = await asyncpg.connect(stack.dsn("intake"), timeout=15)
    try:
        return {
            "seen": await conn.fetchval("SELECT count(*) FROM seen"),
            "waiting": await conn.fetchval("SELECT count(*) FROM waiting"),
        }
    finally:
        await conn.close()


async def _databases(verdict: Verdict, stack: Stack, by_topic: Mapping[str, list[Received]]) -> None:
    """Outboxes are empty, and no service applied the same event at two offsets."""
    ids = {
        (r.topic, r.partition, r.offset): (r.header("ce_source"), r.id) for found in by_topic.values() for r in found
    }
    for service in SERVICES:
        conn = await asyncpg.connect(stack.dsn(service), timeout=15)
        try:
            left = await conn.fetchval("SELECT count(*) FROM outbox")
            verdict.expect(left == 0, f"{service}: {left} rows are left in the outbox")
            applied = await conn.fetch(
                "SELECT DISTINCT topic, lane, record_offset FROM history WHERE record_offset IS NOT NULL"
            )
        finally:
            await conn.close()
        places = [(r["topic"], r["lane"], r["record_offset"]) for r in applied]
        events = Counter(ids[place] for place in places if place in ids)
        twice = [event for event, n in events.items() if n > 1]
        verdict.expect(not twice, f"{service} applied {len(twice)} events twice: {twice[:5]}")


def _mails(verdict: Verdict, stack: Stack, by_topic: Mapping[str, list[Received]]) -> None:
    told = once(by_topic["notifications.v1"])
    per_id = Counter(r.data["notification_id"] for r in told)
    twice = [one for one, n in per_id.items() if n > 1]
    verdict.expect(not twice, f"{len(twice)} notifications were reported twice: {twice[:5]}")
    mails: Counter[str] = Counter()
    for file in stack.mail.glob("*.eml"):
        mails[email.message_from_bytes(file.read_bytes())["Message-ID"] or ""] += 1
    verdict.counted |= {"notifications": len(told), "mails": mails.total(), "mails again": mails.total() - len(mails)}


def as_text(verdict: Verdict) -> str:
    """The verdict for a person."""
    return json.dumps({"counted": verdict.counted, "wrong": verdict.wrong}, ensure_ascii=False, indent=1, default=_text)


def _text(value: Any) -> str:
    return str(value)
