"""Recordings made in memory: what the pipeline's topics would hold after scenarios, without servers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cli.listen import as_object
from cli.reading import Seen
from cli.recording import Recorded
from shared.events import Event, dump, parse_data
from shared.events.topics import ADMISSIONS, ASSESSMENTS, DECISIONS, REFUNDS
from shared.policy.book import PolicyBook
from tests.scenarios.play import Scenario, Wait
from tests.scenarios.pure import MOST_STEPS, Pipeline

SERVICES: Final = {
    ADMISSIONS: "intake",
    ASSESSMENTS: "eligibility",
    DECISIONS: "refund-calculation",
    REFUNDS: "refund-calculation",
}


@dataclass(slots=True)
class Recording(Pipeline):
    """The pipeline in memory that keeps what goes over its own topics. With `chance`, each service takes the records
    of its topics in any order between them, and lags behind as it likes."""

    chance: random.Random | None = None
    records: list[Recorded] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def record(self, scenario: Scenario) -> list[Recorded]:
        """The scenario's records, by topic and offset."""
        self.play(scenario)
        return by_place(self.records)

    def _emit(self, topic: str, event: Event) -> None:
        if topic in SERVICES:
            service = SERVICES[topic]
            number = self.numbers[service] = self.numbers.get(service, 0) + 1
            at = self.now.replace(microsecond=self.now.microsecond // 1000 * 1000)
            source = f"/makegood/{service}:0"
            offset = len(self.records)
            self.records.append(Recorded(topic, 0, offset, event.type, source, number, at, dump(event)))
        Pipeline._emit(self, topic, event)

    def _run(self) -> None:
        if self.chance is None:
            Pipeline._run(self)
            return
        readers = {
            "intake": self._read_decision,
            "eligibility": self._assess,
            "refund-calculation": self._calculate,
        }
        for _ in range(MOST_STEPS):
            waiting = [
                (service, topic) for service, queue in self._queues.items() for topic in {one[0] for one in queue}
            ]
            if not waiting:
                return
            service, topic = self.chance.choice(sorted(waiting))
            queue = self._queues[service]
            one = next(each for each in queue if each[0] == topic)
            queue.remove(one)
            readers[service](topic, parse_data(one[1], one[2]))
        raise AssertionError(f"the services still talk after {MOST_STEPS} rounds")


@dataclass(slots=True)
class Unruly(Recording):
    """As `Recording`, and the outside does not wait for the services: acts come while earlier ones are on their way."""

    def play(self, scenario: Scenario) -> None:
        assert self.chance is not None
        for act in scenario.acts:
            assert not isinstance(act, Wait), "what falls due has to wait for its cause"
            for _ in range(act.times):
                self._take(act, scenario)
            if self.chance.random() < 0.4:
                self._run()
        self._run()


def together(recordings: Iterable[list[Recorded]]) -> list[Recorded]:
    """Several recordings on the same topics and lane, one after the other."""
    found: list[Recorded] = []
    for number, records in enumerate(recordings, 1):
        base = number * 10_000
        found += [replace(one, offset=base + one.offset, number=base + (one.number or 0)) for one in records]
    return by_place(found)


def exported(records: Iterable[Recorded]) -> str:
    """The lines that `claims listen --json --from-start` would have printed."""
    return "".join(json.dumps(as_object(_seen(one)), ensure_ascii=False) + "\n" for one in records)


def _seen(one: Recorded) -> Seen:
    source, _, lane = one.source.partition(":")
    headers = {
        "ce_specversion": "1.0",
        "ce_type": one.type,
        "ce_source": source,
        "ce_id": f"{lane}-{one.number}",
        "ce_time": one.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    at = int(one.at.timestamp() * 1000)
    encoded = {name: text.encode() for name, text in headers.items()}
    return Seen(one.topic, one.lane, one.offset, at, b"key", one.value, encoded)


def by_place(records: Iterable[Recorded]) -> list[Recorded]:
    """As they are read: by topic, lane and offset."""
    return sorted(records, key=lambda one: (one.topic, one.lane, one.offset))


def recordings(book: PolicyBook, table: Sequence[Scenario]) -> Iterator[tuple[Scenario, list[Recorded]]]:
    """Each scenario that gets past intake, with its records."""
    for scenario in table:
        records = Recording(book).record(scenario)
        if records:
            yield scenario, records
