"""SQL of the notification service, one function a query."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import to_json

from services.notification.domain import Sheet, Told
from shared.db import Conn, Pool
from shared.events import CustomerContact

Key = tuple[str, str]
"""Merchant and claim id, or merchant and order id."""

_TEXT: Final = {
    told: to_json(told._asdict()).decode() for told in (Told(w, d) for w in (False, True) for d in (False, True))
}
"""All that a customer can have been told, as it is stored."""
_TOLD: Final = {text: told for told, text in _TEXT.items()}


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim as this service knows it. `sheet` is JSON: only who writes a letter reads it."""

    merchant: str
    claim_id: str
    lane: int
    order_id: str
    told: Told
    sheet: str | None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to be told, with the event that calls for it."""

    notification_id: str
    lane: int
    merchant: str
    order_id: str
    claim_id: str
    template: str
    event_type: str
    event: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A leased message with everything that its letter needs."""

    notification_id: str
    lane: int
    merchant: str
    order_id: str
    claim_id: str
    template: str
    event_type: str
    event: str
    traceparent: str
    created_at: datetime
    attempts: int
    sheet: Sheet | None
    has_contact: bool
    name: str | None
    email: str | None
    locale: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A message whose outcome is known and not yet published."""

    notification_id: str
    lane: int
    merchant: str
    order_id: str
    claim_id: str
    template: str
    traceparent: str
    accepted: bool
    locale: str
    recipient_hash: str | None
    reason: str | None


async def load_claims(conn: Conn, keys: Collection[Key]) -> dict[Key, ClaimRow]:
    """What is known of these claims."""
    rows = await conn.fetch(
        """SELECT c.merchant, c.claim_id, c.lane, c.order_id, c.told, c.sheet
           FROM claim c
           JOIN unnest($1::text[], $2::text[]) AS wanted (merchant, claim_id) USING (merchant, claim_id)""",
        [merchant for merchant, _ in keys],
        [claim_id for _, claim_id in keys],
    )
    return {
        (row["merchant"], row["claim_id"]): ClaimRow(
            row["merchant"],
            row["claim_id"],
            row["lane"],
            row["order_id"],
            _TOLD[row["told"]],
            row["sheet"],
        )
        for row in rows
    }


async def save_claims(conn: Conn, claims: Collection[ClaimRow]) -> None:
    """Write these claims as they are now."""
    await conn.execute(
        """INSERT INTO claim (merchant, claim_id, lane, order_id, told, sheet)
           SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[])
           ON CONFLICT (merchant, claim_id) DO UPDATE
           SET lane = excluded.lane, order_id = excluded.order_id, told = excluded.told, sheet = excluded.sheet""",
        [claim.merchant for claim in claims],
        [claim.claim_id for claim in claims],
        [claim.lane for claim in claims],
        [claim.order_id for claim in claims],
        [_TEXT[claim.told] for claim in claims],
        [claim.sheet for claim in claims],
    )


async def save_contacts(conn: Conn, contacts: Collection[tuple[int, CustomerContact]]) -> None:
    """Write the contact data of orders, each with its lane; every order at most once."""
    await conn.execute(
        """INSERT INTO contact (lane, merchant, order_id, customer_id, name, email, phone, locale)
           SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                                $8::text[])
           ON CONFLICT (merchant, order_id) DO UPDATE
           SET lane = excluded.lane, customer_id = excluded.customer_id, name = excluded.name, email = excluded.email,
               phone = excluded.phone, locale = excluded.locale""",
        [lane for lane, _ in contacts],
        *(
            [getattr(contact, member) for _, contact in contacts]
            for member in ("merchant", "order_id", "customer_id", "name", "email", "phone", "locale")
        ),
    )


async def add_messages(conn: Conn, messages: Sequence[NewMessage], now: datetime) -> set[str]:
    """Add messages in this order, due at once; returns the ids of those that were not there yet."""
    rows = await conn.fetch(
        """INSERT INTO message (notification_id, lane, merchant, order_id, claim_id, template, event_type, event,
                                traceparent, created_at, due)
           SELECT notification_id, lane, merchant, order_id, claim_id, template, event_type, event,
                  traceparent, $10, $10
           FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[])
               WITH ORDINALITY AS new (notification_id, lane, merchant, order_id, claim_id, template, event_type,
                                       event, traceparent, nth)
           ORDER BY nth
           ON CONFLICT (notification_id) DO NOTHING
           RETURNING notification_id""",
        *(
            [getattr(message, member) for message in messages]
            for member in (
                "notification_id",
                "lane",
                "merchant",
                "order_id",
                "claim_id",
                "template",
                "event_type",
                "event",
                "traceparent",
            )
        ),
        now,
    )
    return {row["notification_id"] for row in rows}


async def hasten(conn: Conn, orders: Collection[Key], now: datetime) -> None:
    """Something that messages of these orders waited for has come: those never tried are due now."""
    await conn.execute(
        """UPDATE message m SET due = least(m.due, $3)
           FROM unnest($1::text[], $2::text[]) AS told (merchant, order_id)
           WHERE m.merchant = told.merchant AND m.order_id = told.order_id
             AND m.state = 'pending' AND m.attempts = 0""",
        [merchant for merchant, _ in orders],
        [order_id for _, order_id in orders],
        now,
    )


async def anything_to_do(pool: Pool, now: datetime, *, may_send: bool) -> bool:
    """Whether any lane holds an outcome to publish or, if we may send, a message that is due. Locks nothing."""
    found = await pool.fetchval(
        """SELECT EXISTS (SELECT FROM message WHERE state IN ('accepted', 'refused'))
               OR $2 AND EXISTS (SELECT FROM message WHERE state = 'pending' AND due <= $1
                                 AND (leased_until IS NULL OR leased_until <= $1))""",
        now,
        may_send,
    )
    return bool(found)


async def lease(conn: Conn, lanes: Collection[int], now: datetime, until: datetime, most: int) -> list[DueMessage]:
    """Take due messages of these lanes, of every claim only the first that is still to be told; counts an attempt."""
    rows = await conn.fetch(
        """WITH taken AS (
               UPDATE message m SET leased_until = $3, attempts = m.attempts + 1
               WHERE m.notification_id IN (
                   SELECT d.notification_id FROM message d
                   WHERE d.state = 'pending' AND d.lane = ANY($1::int[]) AND d.due <= $2
                     AND (d.leased_until IS NULL OR d.leased_until <= $2)
                     AND NOT EXISTS (
                         SELECT FROM message e
                         WHERE e.state = 'pending' AND e.merchant = d.merchant AND e.claim_id = d.claim_id
                           AND e.place < d.place)
                   ORDER BY d.due, d.place LIMIT $4)
               RETURNING m.*)
           SELECT t.notification_id, t.lane, t.merchant, t.order_id, t.claim_id, t.template, t.event_type, t.event,
                  t.traceparent, t.created_at, t.attempts, claim.sheet, contact.order_id IS NOT NULL AS has_contact,
                  contact.name, contact.email, contact.locale
           FROM taken t
           LEFT JOIN contact ON contact.merchant = t.merchant AND contact.order_id = t.order_id
           LEFT JOIN claim ON claim.merchant = t.merchant AND claim.claim_id = t.claim_id
           ORDER BY t.place""",
        list(lanes),
        now,
        until,
        most,
    )
    return [
        DueMessage(**{**row, "sheet": None if row["sheet"] is None else Sheet.model_validate_json(row["sheet"])})
        for row in rows
    ]


async def put_off(
    conn: "Conn | Pool", notification_id: str, due: datetime, *, tried: bool, reason: str | None = None
) -> None:
    """Give a leased message back until `due`; one that was not tried gets its attempt back."""
    await conn.execute(
        """UPDATE message SET leased_until = NULL, due = $2, attempts = attempts - $3, reason = $4
           WHERE notification_id = $1 AND state = 'pending'""",
        notification_id,
        due,
        0 if tried else 1,
        reason,
    )


async def close(
    conn: "Conn | Pool",
    notification_id: str,
    *,
    accepted: bool,
    locale: str,
    recipient_hash: str | None,
    reason: str | None,
) -> None:
    """Note a message's outcome. Needs no lane: whoever owns the lane next publishes it."""
    await conn.execute(
        """UPDATE message SET state = $2, locale = $3, recipient_hash = $4, reason = $5, leased_until = NULL
           WHERE notification_id = $1 AND state = 'pending'""",
        notification_id,
        "accepted" if accepted else "refused",
        locale,
        recipient_hash,
        reason,
    )


async def publish_outcomes(conn: Conn, lanes: Collection[int], now: datetime, most: int) -> list[Outcome]:
    """Take outcomes of these lanes for publishing in this transaction; the event they were written from is let go."""
    rows = await conn.fetch(
        """WITH taken AS (
               SELECT notification_id, state FROM message
               WHERE state IN ('accepted', 'refused') AND lane = ANY($1::int[]) ORDER BY place LIMIT $3 FOR UPDATE)
           UPDATE message m SET state = CASE taken.state WHEN 'accepted' THEN 'sent' ELSE 'failed' END, event = NULL,
                  closed_at = $2
           FROM taken WHERE m.notification_id = taken.notification_id
           RETURNING m.notification_id, m.place, m.lane, m.merchant, m.order_id, m.claim_id, m.template, m.traceparent,
                     m.state = 'sent' AS accepted, m.locale, m.recipient_hash, m.reason""",
        list(lanes),
        now,
        most,
    )
    return [
        Outcome(**{name: value for name, value in row.items() if name != "place"})
        for row in sorted(rows, key=lambda row: row["place"])
    ]


async def pending(conn: Conn, lanes: Collection[int], most: int) -> tuple[int, datetime | None]:
    """How many messages of these lanes are not handed over, counted up to `most`, and when their first was written."""
    row = await conn.fetchrow(
        "SELECT count(*), min(created_at) FROM ("
        "SELECT created_at FROM message WHERE state = 'pending' AND lane = ANY($1::int[]) LIMIT $2) AS found",
        list(lanes),
        most,
    )
    assert row is not None, "a count is one row"
    return row[0], row[1]


async def first_due(conn: Conn, lanes: Collection[int]) -> datetime | None:
    """When the message was or will be due that is due first."""
    found: datetime | None = await conn.fetchval(
        "SELECT min(m.due) FROM unnest($1::int[]) AS u (lane), LATERAL ("
        "SELECT due FROM message WHERE state = 'pending' AND lane = u.lane ORDER BY due LIMIT 1) AS m",
        list(lanes),
    )
    return found


def backoff(attempts: int, first: float, longest: float) -> timedelta:
    """How long to wait after so many attempts: doubling, up to the longest."""
    return timedelta(seconds=min(first * 2.0 ** min(attempts - 1, 30), longest))
