"""Records as a consumer has fetched them, without a broker."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fetched:
    """What is read of aiokafka's record before it is given."""

    topic: str
    partition: int
    offset: int
    timestamp: int
