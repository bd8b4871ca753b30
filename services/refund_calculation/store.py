"""refund-calculation's SQL: one function a query. Rows are locked in the order of their keys."""

from collections.abc import Collection, Mapping

from shared.db import Conn

OrderKey = tuple[str, str]
"""Merchant and order id."""


async def lock_orders(conn: Conn, orders: Collection[OrderKey]) -> dict[OrderKey, str]:
    """Lock the rows of these orders and return their states; orders without a row are left out.

    A row that is missing needs no lock: only the owner of the order's lane makes it, and the kit's fence lets one in.
    """
    keys = sorted(orders)
    rows = await conn.fetch(
        "SELECT o.merchant, o.order_id, o.state FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (m, i, n) "
        "JOIN order_money o ON o.merchant = u.m AND o.order_id = u.i ORDER BY u.n FOR UPDATE OF o",
        [merchant for merchant, _ in keys],
        [order_id for _, order_id in keys],
    )
    return {(row["merchant"], row["order_id"]): row["state"] for row in rows}


async def save_orders(conn: Conn, states: Mapping[OrderKey, tuple[int, str]]) -> None:
    """Write orders' lanes and states."""
    keys = sorted(states)
    await conn.execute(
        "INSERT INTO order_money (merchant, order_id, lane, state) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) "
        "ON CONFLICT (merchant, order_id) DO UPDATE SET lane = excluded.lane, state = excluded.state",
        [merchant for merchant, _ in keys],
        [order_id for _, order_id in keys],
        [states[key][0] for key in keys],
        [states[key][1] for key in keys],
    )
