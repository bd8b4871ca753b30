"""refund-calculation's SQL about orders: one function a query.

Nothing is locked here: all about an order is in one lane, and the kit's fence, which the transaction holds, lets one
process work in a lane. That is what keeps two claims of an order from drawing the same unit, or more than was paid.
"""

from collections.abc import Collection, Mapping, Sequence

from shared.arrays import integers, texts
from shared.db import Conn

OrderKey = tuple[str, str]
"""Merchant and order id."""
OrderRow = tuple[str, str, int, bytes]
"""Merchant, order id, lane, state."""


class OrdersGone(OSError):  # noqa: N818 - what it is, for the log; the kit tries the batch again
    """Rows that this transaction read are not there any more: somebody else writes in a lane of ours."""


async def load_orders(conn: Conn, orders: Collection[OrderKey]) -> Mapping[OrderKey, bytes]:
    """The states of these orders; orders without a row are left out."""
    keys = list(orders)
    rows = await conn.fetch(
        "SELECT u.n, o.state FROM unnest($1::text::text[], $2::text::text[]) WITH ORDINALITY AS u (m, i, n) "
        "JOIN order_money o ON o.merchant = u.m AND o.order_id = u.i",
        texts([merchant for merchant, _ in keys]),
        texts([order_id for _, order_id in keys]),
    )
    return {keys[number - 1]: state for number, state in rows}


async def insert_orders(conn: Conn, rows: Sequence[OrderRow]) -> None:
    """Write orders that have no row yet."""
    await conn.copy_records_to_table("order_money", records=rows, columns=("merchant", "order_id", "lane", "state"))


async def update_orders(conn: Conn, rows: Sequence[OrderRow]) -> None:
    """Write orders that were loaded in this transaction. Raises `OrdersGone` where one has no row any more."""
    done = await conn.execute(
        "UPDATE order_money o SET lane = u.lane, state = u.state "
        "FROM unnest($1::text::text[], $2::text::text[], $3::text::int[], $4::bytea[]) "
        "AS u (merchant, order_id, lane, state) "
        "WHERE o.merchant = u.merchant AND o.order_id = u.order_id",
        texts([row[0] for row in rows]),
        texts([row[1] for row in rows]),
        integers(row[2] for row in rows),
        [row[3] for row in rows],
    )
    if done != f"UPDATE {len(rows)}":
        raise OrdersGone(f"{done} of {len(rows)} orders")
