"""The delivery kit: a batch is one Postgres transaction, and what it emits reaches Kafka in order."""

from shared.bus.lanes import LaneLost, lane_of, order_key
from shared.bus.pipeline import Service
from shared.bus.record import Record
from shared.bus.work import Work

__all__ = ["LaneLost", "Record", "Service", "Work", "lane_of", "order_key"]
