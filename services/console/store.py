"""The SQL of the read model: one function a query, one query a table and batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ormsgpack

from services.console.domain import refunded, standing
from services.console.facts import ClaimFacts
from services.console.figures import TempoKey
from services.console.letters import Closing, Letter
from shared.db import Conn

ClaimKey = tuple[str, str]
"""Merchant and claim id."""

READ_MODEL = ("entry", "claim", "counter", "tempo", "letter", "closing", "policy_seen", "unfolded")
"""The tables that a rebuild empties."""

_LOCK = 0x636F6E73  # one process folds at a time: claims may be spoken of on partitions that two processes own


@dataclass(frozen=True, slots=True)
class Entry:
    """An event about an order, as it came, and where it stands in the topics."""

    topic: str
    lane: int
    offset: int
    at_ms: int
    merchant: str
    order_id: str
    claim_id: str | None
    type: str
    source: str
    event_id: str
    traceparent: str
    structured: bool
    value: bytes


async def lock(conn: Conn) -> None:
    """Keep other console processes from folding until the transaction ends."""
    await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def load_claims(conn: Conn, keys: Sequence[ClaimKey]) -> dict[ClaimKey, ClaimFacts]:
    """Read what is known of the claims."""
    rows = await conn.fetch(
        "SELECT c.merchant, c.claim_id, c.facts FROM claim c "
        "JOIN unnest($1::text[], $2::text[]) AS k (merchant, claim_id) USING (merchant, claim_id)",
        [merchant for merchant, _ in keys],
        [claim_id for _, claim_id in keys],
    )
    return {(r["merchant"], r["claim_id"]): ClaimFacts.model_validate_json(r["facts"]) for r in rows}


async def save_claims(conn: Conn, claims: Mapping[ClaimKey, ClaimFacts]) -> None:
    """Write what is known of the claims, with the columns that they are found by."""
    if not claims:
        return
    # Rows travel as JSON: an array of arrays (clauses) cannot go through unnest.
    await conn.execute(
        """
        INSERT INTO claim (merchant, claim_id, order_id, customer_id, reason, wants, currency, first_ms, state,
                           since_ms, stuck_ms, due_ms, outcome, refunded, clauses, policy, facts)
        SELECT merchant, claim_id, order_id, customer_id, reason, wants, currency, first_ms, state, since_ms,
               stuck_ms, due_ms, outcome, refunded, string_to_array(clauses, chr(31)), policy, facts
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                    $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[], $15::text[],
                    $16::text[], $17::text[])
            AS u (merchant, claim_id, order_id, customer_id, reason, wants, currency, first_ms, state, since_ms,
                  stuck_ms, due_ms, outcome, refunded, clauses, policy, facts)
        ON CONFLICT (merchant, claim_id) DO UPDATE SET
            order_id = excluded.order_id, customer_id = excluded.customer_id, reason = excluded.reason,
            wants = excluded.wants, currency = excluded.currency, first_ms = excluded.first_ms, state = excluded.state,
            since_ms = excluded.since_ms, stuck_ms = excluded.stuck_ms, due_ms = excluded.due_ms,
            outcome = excluded.outcome, refunded = excluded.refunded, clauses = excluded.clauses,
            policy = excluded.policy, facts = excluded.facts
        """,
        *zip(*(_columns(key, facts) for key, facts in sorted(claims.items())), strict=True),
    )


def _columns(key: ClaimKey, facts: ClaimFacts) -> tuple[str | int | None, ...]:
    stand = standing(facts)
    last = facts.decisions[max(facts.decisions)] if facts.decisions else None
    said = facts.admission or facts.submission
    cited = {clause for decision in facts.decisions.values() for clause in decision.clauses}
    if facts.assessment is not None:
        cited.update(facts.assessment.clauses)
    policy = (last.policy if last is not None else None) or (facts.assessment.policy if facts.assessment else None)
    return (
        *key,
        facts.order_id,
        None if facts.admission is None else facts.admission.customer_id,
        None if said is None else said.reason,
        None if said is None else said.wants,
        None if facts.admission is None else facts.admission.currency,
        facts.first_ms,
        stand.state,
        stand.since_ms,
        stand.stuck_ms,
        stand.due_ms,
        None if last is None else last.outcome,
        refunded(facts),
        chr(31).join(sorted(cited)),
        policy,
        facts.model_dump_json(exclude_defaults=True),
    )


async def append_entries(conn: Conn, entries: Sequence[Entry]) -> None:
    """Append events; the offsets are fenced, so none comes twice."""
    if entries:
        await conn.copy_records_to_table(
            "entry",
            records=[
                (
                    e.topic,
                    e.lane,
                    e.offset,
                    e.at_ms,
                    e.merchant,
                    e.order_id,
                    e.claim_id,
                    e.type,
                    _text(e.source),
                    _text(e.event_id),
                    _text(e.traceparent),
                    e.structured,
                    e.value,
                )
                for e in entries
            ],
            columns=[
                "topic",
                "lane",
                "record_offset",
                "at_ms",
                "merchant",
                "order_id",
                "claim_id",
                "type",
                "source",
                "event_id",
                "traceparent",
                "structured",
                "value",
            ],
        )


async def add_to_counters(conn: Conn, change: Mapping[str, int]) -> None:
    """Add to the counters; one that comes to 0 is removed, as if it had never been."""
    if not change:
        return
    names = sorted(change)
    await conn.execute(
        "INSERT INTO counter AS c SELECT * FROM unnest($1::text[], $2::bigint[]) "
        "ON CONFLICT (name) DO UPDATE SET n = c.n + excluded.n",
        names,
        [change[name] for name in names],
    )
    await conn.execute("DELETE FROM counter WHERE n = 0 AND name = ANY($1::text[])", names)


async def add_to_tempo(conn: Conn, change: Mapping[TempoKey, int]) -> None:
    """Add to the tempo; a count that comes to 0 is removed, as if it had never been."""
    if not change:
        return
    keys = sorted(change)
    minutes, stages, buckets = (list(each) for each in zip(*keys, strict=True))
    await conn.execute(
        "INSERT INTO tempo AS t SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[]) "
        "ON CONFLICT (minute, stage, bucket) DO UPDATE SET n = t.n + excluded.n",
        minutes,
        stages,
        buckets,
        [change[key] for key in keys],
    )
    await conn.execute(
        "DELETE FROM tempo t USING unnest($1::bigint[], $2::text[], $3::int[]) AS k (minute, stage, bucket) "
        "WHERE t.minute = k.minute AND t.stage = k.stage AND t.bucket = k.bucket AND t.n = 0",
        minutes,
        stages,
        buckets,
    )


async def save_letters(conn: Conn, letters: Sequence[Letter]) -> None:
    """Keep dead letters."""
    await conn.executemany(
        "INSERT INTO letter VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        [
            (
                letter.topic,
                letter.lane,
                letter.offset,
                letter.at_ms,
                letter.service,
                letter.origin_topic,
                letter.origin_lane,
                letter.origin_offset,
                _text(letter.type),
                _text(letter.subject),
                _text(letter.reason),
                _text(letter.path),
                letter.fingerprint,
                letter.attempts,
                letter.refused_ms,
                letter.key,
                letter.value,
                ormsgpack.packb(list(letter.headers)),
            )
            for letter in letters
        ],
    )


async def close_letters(conn: Conn, letters: Sequence[Letter], closings: Sequence[Closing]) -> None:
    """Note what became of dead letters outside of the console. A letter may be read after it was sent back: what is
    known of it is kept, and looked up when it comes."""
    if closings:
        await conn.executemany(
            "INSERT INTO closing VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            [
                (c.topic, c.origin_lane, c.origin_offset, c.what, _text(c.actor), _text(c.reason), c.at_ms)
                for c in closings
            ],
        )
    named = (
        *((c.topic, c.origin_lane, c.origin_offset) for c in closings),
        *((x.topic, x.origin_lane, x.origin_offset) for x in letters),
    )
    places = [place for place in named if place[1] is not None and place[2] is not None]
    if places:
        await conn.execute(
            "INSERT INTO resolution SELECT l.topic, l.lane, l.record_offset, c.what, c.actor, c.reason, "
            "to_timestamp(c.at_ms / 1000.0) FROM unnest($1::text[], $2::int[], $3::bigint[]) AS u (t, l, o) "
            "JOIN closing c ON (c.topic, c.origin_lane, c.origin_offset) = (u.t, u.l, u.o) "
            "JOIN letter l ON (l.topic, l.origin_lane, l.origin_offset) = (u.t, u.l, u.o) ON CONFLICT DO NOTHING",
            [topic for topic, _, _ in places],
            [lane for _, lane, _ in places],
            [offset for _, _, offset in places],
        )


async def save_policies(conn: Conn, seen: Mapping[tuple[str, int, str], int]) -> None:
    """Note which policy versions were applied, and when first."""
    if seen:
        keys = sorted(seen)
        await conn.execute(
            "INSERT INTO policy_seen AS p SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) "
            "ON CONFLICT (policy_id, version, digest) DO UPDATE SET first_ms = least(p.first_ms, excluded.first_ms) "
            "WHERE p.first_ms > excluded.first_ms",
            [k[0] for k in keys],
            [k[1] for k in keys],
            [k[2] for k in keys],
            [seen[k] for k in keys],
        )


async def save_unfolded(conn: Conn, topic: str, lane: int, offset: int, error: str) -> None:
    """Note a record that could not be folded."""
    await conn.execute(
        "INSERT INTO unfolded VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", topic, lane, offset, _text(error)[:2000]
    )


def _text(value: str) -> str:
    """PostgreSQL's text holds no NUL."""
    return value.replace("\0", "␀")
