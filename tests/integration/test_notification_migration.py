"""From the table of all messages to the queue of those that are still to be told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from services.notification import queue
from services.notification.domain import Notice
from services.notification.store import load_claims
from shared.db import connect, migrate, migrations_of
from tests.conftest import MakeDatabase

AT = datetime(2026, 11, 5, tzinfo=UTC)
PACKAGES = ["shared.bus", "services.notification"]


async def test_what_was_told_is_remembered_and_what_was_not_is_still_to_be_told(make_database: MakeDatabase) -> None:
    pool = await connect(await make_database([]), 2, application="test")
    try:
        first, _ = migrations_of("services.notification")[:2]
        await pool.execute(first.sql)
        await pool.execute(
            "INSERT INTO claim VALUES ('m', 'c-1', 0, 'o-1', '{\"waiting\":true,\"decided\":true}', NULL)"
        )
        ids = {name: str(uuid4()) for name in ("sent", "accepted", "pending", "leased", "refusal")}
        rows = [
            (ids["sent"], "c-1", "received", None, "sent", None),
            (ids["accepted"], "c-1", "awaiting_return", "{}", "accepted", None),
            (ids["pending"], "c-1", "decided", '{"a":"é"}', "pending", None),
            (ids["leased"], "c-2", "decided", "{}", "pending", datetime.now(UTC) + timedelta(minutes=1)),
            (ids["refusal"], "c-1", "refused", None, "sent", None),
        ]
        await pool.executemany(
            "INSERT INTO message (notification_id, lane, merchant, order_id, claim_id, template, event_type, event, "
            "traceparent, created_at, due, state, leased_until, locale) "
            "VALUES ($1, 0, 'm', 'o-1', $2, $3, 'claim.decided.v1', $4, '', $7, $7, $5, $6, 'vi-VN')",
            [(*row, AT) for row in rows],
        )
        await pool.execute("INSERT INTO migration (name, digest) VALUES ($1, $2)", first.name, first.digest)
        await migrate(pool, PACKAGES)
        async with pool.acquire() as conn, conn.transaction():
            claims = await load_claims(conn, [("m", "c-1"), ("m", "c-2")])
            told = claims["m", "c-1"].told
            assert (told.waiting, told.decided) == (True, True)
            known = {name for name, id_ in ids.items() if told.knows(Notice(id_, "decided", UUID(id_).bytes))}
            assert known == {"sent", "accepted", "pending"}
            (noted,) = await queue.noted(conn, [0], 10)
            assert (noted.notification_id, noted.accepted, noted.locale) == (ids["accepted"], True, "vi-VN")
            assert await queue.settle(conn, [noted]) == {noted.place}
            mine, now = {0: UUID(int=1)}, datetime.now(UTC)
            assert await queue.take(conn, mine, now, now, [], 10) == [], "another process may have them in hand"
            later = now + timedelta(minutes=2)
            taken = await queue.take(conn, mine, later, later, [], 10)
            assert [due.notification_id for due in taken] == [ids["pending"], ids["leased"]]
            assert taken[0].event == '{"a":"é"}'.encode()
            place = await conn.fetchval(
                "INSERT INTO message (merchant, claim_id, lane, due, notification_id, order_id, template, event_type, "
                "event, traceparent, created_at) "
                "VALUES ('m', 'c-3', 0, $1, '', '', '', '', '', '', $1) RETURNING place",
                AT,
            )
            assert place == 6, "places go on where they were"
    finally:
        await pool.close()
