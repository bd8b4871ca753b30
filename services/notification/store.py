"""SQL of the notification service's reading side, one function a query. That of sending is in `queue`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.notification.domain import NOTHING, Told
from services.notification.reading import CustomerContact
from shared.arrays import integers, texts, texts_or_null
from shared.db import Conn

Key = tuple[str, str]
"""Merchant and claim id, or merchant and order id."""


@dataclass(slots=True)
class ClaimRow:
    """A claim as this service knows it. `sheet`: what letters say of it, as JSON, where this batch has brought it; what
    is stored of it is not read. `stored`: whether there is a row."""

    merchant: str
    claim_id: str
    lane: int
    order_id: str
    told: Told = NOTHING
    sheet: str | None = None
    stored: bool = False


async def load_claims(conn: Conn, keys: Collection[Key]) -> dict[Key, ClaimRow]:
    """What is known of these claims."""
    rows = await conn.fetch(
        """SELECT c.merchant, c.claim_id, c.lane, c.order_id, c.waiting, c.decided, c.notices
           FROM unnest($1::text::text[], $2::text::text[]) AS wanted (merchant, claim_id)
           JOIN claim c USING (merchant, claim_id)""",
        texts([merchant for merchant, _ in keys]),
        texts([claim_id for _, claim_id in keys]),
    )
    return {
        (merchant, claim_id): ClaimRow(merchant, claim_id, lane, order_id, Told(waiting, decided, notices), stored=True)
        for merchant, claim_id, lane, order_id, waiting, decided, notices in rows
    }


async def save_claims(conn: Conn, claims: Collection[ClaimRow]) -> None:
    """Write these claims as they are now. Nobody else writes claims of our lanes: what was not there is not there."""
    new = [claim for claim in claims if not claim.stored]
    if new:
        await conn.copy_records_to_table(
            "claim",
            records=[(c.merchant, c.claim_id, c.lane, c.order_id, *c.told, c.sheet) for c in new],
            columns=["merchant", "claim_id", "lane", "order_id", "waiting", "decided", "notices", "sheet"],
        )
    known = [claim for claim in claims if claim.stored]
    if known:
        await conn.execute(
            """UPDATE claim c SET lane = n.lane, order_id = n.order_id, waiting = n.waiting, decided = n.decided,
                      notices = n.notices, sheet = coalesce(n.sheet, c.sheet)
               FROM unnest($1::text::text[], $2::text::text[], $3::text::int[], $4::text::text[], $5::bool[],
                           $6::bool[], $7::bytea[], $8::text[])
                    AS n (merchant, claim_id, lane, order_id, waiting, decided, notices, sheet)
               WHERE c.merchant = n.merchant AND c.claim_id = n.claim_id""",
            texts([claim.merchant for claim in known]),
            texts([claim.claim_id for claim in known]),
            integers(claim.lane for claim in known),
            texts([claim.order_id for claim in known]),
            [claim.told.waiting for claim in known],
            [claim.told.decided for claim in known],
            [claim.told.notices for claim in known],
            [claim.sheet for claim in known],
        )


async def save_contacts(conn: Conn, contacts: Collection[tuple[int, CustomerContact]]) -> None:
    """Write the contact data of orders, each with its lane; every order at most once."""
    await conn.execute(
        """INSERT INTO contact (lane, merchant, order_id, customer_id, name, email, phone, locale)
           SELECT * FROM unnest($1::text::int[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[],
                                $6::text::text[], $7::text::text[], $8::text::text[])
           ON CONFLICT (merchant, order_id) DO UPDATE
           SET lane = excluded.lane, customer_id = excluded.customer_id, name = excluded.name, email = excluded.email,
               phone = excluded.phone, locale = excluded.locale""",
        integers(lane for lane, _ in contacts),
        *(
            texts_or_null(getattr(contact, member) for _, contact in contacts)
            for member in ("merchant", "order_id", "customer_id", "name", "email", "phone", "locale")
        ),
    )


MESSAGE_COLUMNS = (
    "merchant",
    "claim_id",
    "lane",
    "due",
    "notification_id",
    "order_id",
    "template",
    "event_type",
    "event",
    "traceparent",
    "created_at",
)


async def add_messages(conn: Conn, messages: Sequence[tuple[object, ...]]) -> None:
    """Add messages in this order, each with the values of `MESSAGE_COLUMNS`."""
    await conn.copy_records_to_table("message", records=messages, columns=list(MESSAGE_COLUMNS))
