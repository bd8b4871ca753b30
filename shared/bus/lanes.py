"""Which lane a key belongs to, and what a process knows of a lane that it owns."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from aiokafka.partitioner import murmur2


def order_key(merchant: str, order_id: str) -> bytes:
    """Record key of everything about one order."""
    return f"{merchant}/{order_id}".encode()


@lru_cache(maxsize=65_536)  # murmur2 is Python, and what follows a claim has the claim's key
def lane_of(key: bytes, lanes: int) -> int:
    """Partition of a key under Kafka's default partitioner (murmur2), the one that order systems use as well."""
    return int((murmur2(key) & 0x7FFFFFFF) % lanes)


@dataclass(slots=True)
class Lane:
    """An owned lane as of its last commit. Nobody else may change it while `token` stands in the database."""

    number: int
    token: UUID
    emitted: int = 0
    stored_mark: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    inbox: dict[tuple[str, str], int] = field(default_factory=dict)


class LaneLost(Exception):  # noqa: N818 - an event of normal operation, not an error
    """Another process has taken over lanes; what was about to be committed is not."""

    def __init__(self, lanes: Iterable[int]) -> None:
        super().__init__()
        self.lanes = frozenset(lanes)
