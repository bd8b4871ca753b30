"""SQL of sending, one function a query: the queue of messages to tell, and who has which of them in hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.notification.domain import Sheet
from shared.arrays import integers, texts
from shared.db import Conn, Pool

_IN_ORDER: Final = (
    "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; "
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
)
"""The planner knows a queue only as it was some time ago. Left to itself it reads all of a long one and sorts it, each
time; by the index it reads as many rows as it takes."""
LONGEST_TEXT: Final = 50_000
"""Characters; a longer mail is not kept. Claims of hundreds of lines have such."""
MOST_TEXTS: Final = 25
"""Of a claim, in one answer."""
_READ_SECONDS: Final = 5.0
_SHEET: Final = msgspec.json.Decoder(Sheet)


class DueMessage(NamedTuple):
    """A message that was taken in hand, with everything that its letter needs. `owner`: the token under which its lane
    was ours then; `attempts`: those that failed before."""

    sheet: Sheet | None
    merchant: str
    claim_id: str
    place: int
    lane: int
    owner: UUID
    notification_id: str
    order_id: str
    template: str
    event_type: str
    event: bytes
    traceparent: str
    created_at: datetime
    attempts: int
    reason: str | None
    has_contact: bool
    name: str | None
    email: str | None
    locale: str | None

    @property
    def complete(self) -> bool:
        """Whether all is there that its letter needs: the customer's contact data, and the claim's sheet where one is
        to come (a refused claim has none)."""
        return self.has_contact and (self.sheet is not None or self.template == "refused")


@dataclass(slots=True)  # one a mail: frozen, it would take four times as long to make
class Outcome:
    """What became of a message: accepted by the mail server, or not to be delivered for a reason. `subject` and `text`:
    the mail as it went out, where it is to be kept. Never changed."""

    merchant: str
    claim_id: str
    place: int
    lane: int
    notification_id: str
    order_id: str
    template: str
    traceparent: str
    accepted: bool
    locale: str
    recipient_hash: str | None
    reason: str | None
    subject: str | None = None
    text: str | None = None


class Delay(NamedTuple):
    """A message that has to wait until `due`, after so many attempts, for a reason."""

    merchant: str
    claim_id: str
    place: int
    lane: int
    due: datetime
    attempts: int
    reason: str | None


async def anything_to_do(pool: Pool, now: datetime, in_hand: Collection[int], *, may_send: bool) -> bool:
    """Whether any lane holds an outcome to publish or, if we may send, a message that is due. Locks nothing."""
    found = await pool.fetchval(
        """SELECT EXISTS (SELECT FROM outcome)
               OR $2 AND EXISTS (
                   SELECT FROM lane l CROSS JOIN LATERAL (
                       SELECT FROM message m
                       WHERE m.lane = l.lane AND m.due <= $1 AND m.place <> ALL($3::bigint[])
                       ORDER BY m.due LIMIT 1) AS due)""",
        now,
        may_send,
        list(in_hand),
    )
    return bool(found)


async def take(
    conn: Conn, lanes: Mapping[int, UUID], now: datetime, until: datetime, in_hand: Collection[int], most: int
) -> list[DueMessage]:
    """Take due messages of these lanes (number → our token) in hand until then: of every claim only the first that is
    still to be told, none that a former owner may have in hand. `most` counts for each lane."""
    await conn.execute(_IN_ORDER)
    rows = await conn.fetch(
        # A former owner notes its outcomes and lets go in one transaction: here both are seen, or neither is. A claim's
        # first message is looked up, not joined, so that the order stays that of the index.
        """SELECT claim.sheet, m.merchant, m.claim_id, m.place, m.lane, l.owner, m.notification_id, m.order_id,
                  m.template, m.event_type, m.event, m.traceparent, m.created_at, m.attempts, m.reason,
                  contact.order_id IS NOT NULL AS has_contact, contact.name, contact.email, contact.locale
           FROM unnest($1::int[], $2::uuid[]) AS l (lane, owner)
           CROSS JOIN LATERAL (
               SELECT * FROM message d
               WHERE d.lane = l.lane AND d.due <= $3 AND d.place <> ALL($4::bigint[])
                 AND d.place <> ALL(ARRAY(SELECT o.place FROM outcome o WHERE o.lane = l.lane))
                 AND d.place > (SELECT coalesce(max(h.upto), 0) FROM in_hand h
                                WHERE h.lane = l.lane AND h.owner <> l.owner AND h.until > $3)
                 AND d.place = (SELECT min(e.place) FROM message e
                                WHERE e.merchant = d.merchant AND e.claim_id = d.claim_id)
               ORDER BY d.due, d.place LIMIT $5) AS m
           LEFT JOIN contact ON contact.merchant = m.merchant AND contact.order_id = m.order_id
           LEFT JOIN claim ON claim.merchant = m.merchant AND claim.claim_id = m.claim_id""",
        list(lanes),
        list(lanes.values()),
        now,
        list(in_hand),
        most,
    )
    if not rows:
        return []
    upto: dict[int, int] = {}
    for row in rows:
        upto[row["lane"]] = max(row["place"], upto.get(row["lane"], 0))
    await conn.execute(
        """INSERT INTO in_hand AS h (lane, owner, upto, until)
           SELECT *, $4 FROM unnest($1::int[], $2::uuid[], $3::bigint[])
           ON CONFLICT (lane, owner) DO UPDATE
           SET upto = greatest(h.upto, excluded.upto), until = greatest(h.until, excluded.until)""",
        list(upto),
        [lanes[lane] for lane in upto],
        list(upto.values()),
        until,
    )
    return [
        DueMessage(None if sheet is None else _SHEET.decode(sheet), *rest)
        for sheet, *rest in sorted(rows, key=itemgetter("place"))
    ]


async def release(conn: "Conn | Pool", owned: Collection[tuple[int, UUID]], now: datetime) -> None:
    """Nothing of these lanes is in our hands any more; what others once had is forgotten after its time."""
    await conn.execute(
        """DELETE FROM in_hand h
           WHERE h.until <= $3
              OR (h.lane, h.owner) IN (SELECT * FROM unnest($1::int[], $2::uuid[]))""",
        [lane for lane, _ in owned],
        [owner for _, owner in owned],
        now,
    )


async def settle(conn: Conn, outcomes: Sequence[Outcome]) -> set[int]:
    """Take messages out of the queue in the transaction that publishes what became of them; returns the places of those
    that were still there."""
    rows = await conn.fetch(
        """DELETE FROM message m
           USING unnest($1::text::text[], $2::text::text[], $3::text::bigint[]) AS d (merchant, claim_id, place)
           WHERE m.merchant = d.merchant AND m.claim_id = d.claim_id AND m.place = d.place
           RETURNING m.place""",
        texts([one.merchant for one in outcomes]),
        texts([one.claim_id for one in outcomes]),
        integers(one.place for one in outcomes),
    )
    return {row["place"] for row in rows}


async def put_off(conn: "Conn | Pool", delays: Sequence[Delay]) -> None:
    """Let messages wait until they are due again."""
    await conn.execute(
        """UPDATE message m SET due = d.due, attempts = d.attempts, reason = d.reason
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::int[], $6::text[])
                AS d (merchant, claim_id, place, due, attempts, reason)
           WHERE m.merchant = d.merchant AND m.claim_id = d.claim_id AND m.place = d.place""",
        [one.merchant for one in delays],
        [one.claim_id for one in delays],
        [one.place for one in delays],
        [one.due for one in delays],
        [one.attempts for one in delays],
        [one.reason for one in delays],
    )


async def note(conn: "Conn | Pool", outcomes: Sequence[Outcome]) -> None:
    """Note what became of messages whose lane is no longer ours: its owner publishes it."""
    await conn.execute(
        """INSERT INTO outcome (merchant, claim_id, place, lane, accepted, locale, recipient_hash, reason)
           SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::bool[], $6::text[], $7::text[],
                                $8::text[])
           ON CONFLICT DO NOTHING""",
        [one.merchant for one in outcomes],
        [one.claim_id for one in outcomes],
        [one.place for one in outcomes],
        [one.lane for one in outcomes],
        [one.accepted for one in outcomes],
        [one.locale for one in outcomes],
        [one.recipient_hash for one in outcomes],
        [one.reason for one in outcomes],
    )


async def keep(conn: "Conn | Pool", outcomes: Sequence[Outcome], now: datetime) -> None:
    """Keep the texts of mails that went out. A mail that went out twice has one place, and one text."""
    told = [one for one in outcomes if one.text is not None and len(one.text) <= LONGEST_TEXT]
    if told:
        await conn.execute(
            """INSERT INTO mail_text (merchant, claim_id, place, notification_id, subject, body, sent_at)
               SELECT *, $7 FROM unnest($1::text::text[], $2::text::text[], $3::text::bigint[], $4::text::text[],
                                        $5::text::text[], $6::text::text[])
               ON CONFLICT DO NOTHING""",
            texts([one.merchant for one in told]),
            texts([one.claim_id for one in told]),
            integers(one.place for one in told),
            texts([one.notification_id for one in told]),
            texts([one.subject or "" for one in told]),
            texts([one.text or "" for one in told]),
            now,
        )


async def kept(pool: Pool, merchant: str, claim_id: str) -> list[dict[str, str]]:
    """The claim's latest mails that are kept, the last first."""
    async with pool.acquire(timeout=_READ_SECONDS) as conn:
        rows = await conn.fetch(
            """SELECT notification_id, subject, body AS text FROM mail_text
               WHERE merchant = $1 AND claim_id = $2 ORDER BY place DESC LIMIT $3""",
            merchant,
            claim_id,
            MOST_TEXTS,
            timeout=_READ_SECONDS,
        )
    return [dict(row) for row in rows]


async def noted(conn: Conn, lanes: Collection[int], most: int) -> list[Outcome]:
    """Take the outcomes that former owners of these lanes have noted, of messages that are still in the queue."""
    rows = await conn.fetch(
        """WITH gone AS (
               DELETE FROM outcome WHERE (lane, place) IN (
                   SELECT lane, place FROM outcome WHERE lane = ANY($1::int[]) ORDER BY place LIMIT $2)
               RETURNING *)
           SELECT merchant, claim_id, place, lane, m.notification_id, m.order_id, m.template, m.traceparent,
                  g.accepted, g.locale, g.recipient_hash, g.reason
           FROM gone g JOIN message m USING (merchant, claim_id, place, lane) ORDER BY place""",
        list(lanes),
        most,
    )
    return [Outcome(*row) for row in rows]


async def pending(conn: Conn, lanes: Collection[int], most: int) -> tuple[int, datetime | None]:
    """How many messages of these lanes are not handed over, counted up to `most`, and when their first was written."""
    row = await conn.fetchrow(
        "SELECT count(*), min(created_at) FROM ("
        "SELECT created_at FROM message WHERE lane = ANY($1::int[]) LIMIT $2) AS found",
        list(lanes),
        most,
    )
    assert row is not None, "a count is one row"
    return row[0], row[1]


async def first_due(conn: Conn, lanes: Collection[int]) -> datetime | None:
    """When the message was or will be due that is due first."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(m.due) FROM unnest($1::int[]) AS u (lane), LATERAL ("
        "SELECT due FROM message WHERE lane = u.lane ORDER BY due LIMIT 1) AS m",
        list(lanes),
    )
    return found


def backoff(attempts: int, first: float, longest: float) -> timedelta:
    """How long to wait after so many attempts: doubling, up to the longest."""
    return timedelta(seconds=min(first * 2.0 ** min(attempts - 1, 30), longest))
