"""A raw emit: what goes back to a topic is byte for byte what had been taken off it."""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from shared.bus import Work
from shared.bus.lanes import Lane
from shared.bus.outbox import kafka_headers, pack, unpack
from shared.db import Conn

AT = datetime(2026, 11, 22, tzinfo=UTC)


def test_a_raw_record_keeps_key_value_headers_and_partition_through_the_outbox() -> None:
    lane = Lane(2, UUID(int=1), emitted=7)
    work = Work(cast(Conn, None), AT, [], "console", {2: lane}, lambda key, lane: 0)
    headers = [("ce_id", b"\xff\xfe"), ("ce_id", b"again"), ("", b"")]
    work.emit_raw("claims.v1", 3, key=None, value=b"{broken", headers=headers, lane=2)
    work.emit_raw("claims.v1", 1, key=b"\x00k", value=None, headers=[], lane=2)

    row = unpack(2, 9, pack(work.outgoing[2]), AT)

    assert [(e.number, e.topic, e.partition, e.key, e.value) for e in row.events] == [
        (8, "claims.v1", 3, None, b"{broken"),
        (9, "claims.v1", 1, b"\x00k", None),
    ]
    assert kafka_headers("console", 2, row.events[0], AT) == headers
    assert kafka_headers("console", 2, row.events[1], AT) == []
