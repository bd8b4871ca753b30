"""Records that were fetched and are not given yet: of all partitions the oldest first."""

from bisect import bisect_right
from collections import Counter
from operator import itemgetter
from typing import Any, Final

from aiokafka import TopicPartition

Records = dict[TopicPartition, list[Any]]

_STAMP: Final = itemgetter(0)


class Held:
    """What a consumer has and did not give yet.

    A partition's records keep their order. Between partitions the broker's time stamp decides: an event that another
    one caused, in whatever topic, is stamped after it.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[int, Any]] = []
        self._counts: Counter[tuple[str, int]] = Counter()
        self._stamps: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return len(self._queue)

    def count(self, partition: TopicPartition) -> int:
        """How many records of a partition are held."""
        return self._counts[partition]

    def last_ms(self, partition: TopicPartition) -> int:
        """Stamp of the last record that was taken in of a partition, 0 before the first: what comes is not older."""
        return self._stamps.get(partition, 0)

    def next_offset(self, partition: TopicPartition) -> int | None:
        """Offset of the first record held of a partition; null where there is none."""
        mine = (record.offset for _, record in self._queue if (record.topic, record.partition) == partition)
        return next(mine, None)

    def add(self, fetched: Records) -> int:
        """Take in what was fetched; returns how many records."""
        before = len(self._queue)
        for partition, records in fetched.items():
            stamp = self.last_ms(partition)
            for record in records:
                # A broker's clock may be set back; the order of a partition is that of its offsets all the same.
                stamp = max(stamp, record.timestamp)
                self._queue.append((stamp, record))
            self._stamps[partition] = stamp
            self._counts[partition] += len(records)
        self._queue.sort(key=_STAMP)
        return len(self._queue) - before

    def ready(self, until_ms: float) -> int:
        """How many records are held that are not stamped later than `until_ms`."""
        return bisect_right(self._queue, until_ms, key=_STAMP)

    def give(self, most: int, until_ms: float) -> Records:
        """Give the oldest records, at most so many, none stamped later than `until_ms`."""
        end = min(most, self.ready(until_ms))
        given: Records = {}
        for _, record in self._queue[:end]:
            given.setdefault(TopicPartition(record.topic, record.partition), []).append(record)
        del self._queue[:end]
        self._counts.subtract({partition: len(records) for partition, records in given.items()})
        return given

    def drop(self, partition: TopicPartition) -> None:
        """Forget what is held of a partition: it is read again from elsewhere."""
        self._queue = [pair for pair in self._queue if (pair[1].topic, pair[1].partition) != partition]
        self._counts.pop(partition, None)
        self._stamps.pop(partition, None)
