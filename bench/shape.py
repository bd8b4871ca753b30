"""What a claim means for the hops, measured on the pipeline: records, bytes, durable rows. The other ways copy it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from bench.stack import Counters
from bench.topics import Span
from shared.events.topics import ADMISSIONS, ASSESSMENTS, CLAIMS, DECISIONS, NOTIFICATIONS, REFUNDS, RETURNS, SELLERS

INPUT: Final = "input"
"""Stands for all topics that claims, answers and returns come in on."""
INPUTS: Final = (CLAIMS, SELLERS, RETURNS)

StageName = Literal["intake", "eligibility", "refund-calculation", "notification"]


@dataclass(frozen=True, slots=True)
class Emit:
    """`num` records for every `den` of the driving topic, each of `bytes` bytes (value and headers)."""

    topic: str
    num: int
    den: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A hop: what it reads, and what it writes for each record of the topic that drives it."""

    name: str
    reads: tuple[str, ...]
    driver: str
    row_num: int
    row_den: int
    row_bytes: int
    emits: tuple[Emit, ...]

    def due(self, seen: int, num: int, den: int) -> int:
        """How many are due for record number `seen` (from 0), so that `num` come for every `den`."""
        return (seen + 1) * num // den - seen * num // den

    def rows_due(self, seen: int) -> int:
        return self.due(seen, self.row_num, self.row_den)


_HOPS: Final[Sequence[tuple[StageName, tuple[str, ...], str, tuple[str, ...]]]] = (
    ("intake", (INPUT, DECISIONS), INPUT, (ADMISSIONS,)),
    ("eligibility", (ADMISSIONS, DECISIONS), ADMISSIONS, (ASSESSMENTS,)),
    ("refund-calculation", (ADMISSIONS, ASSESSMENTS), ASSESSMENTS, (DECISIONS, REFUNDS)),
    ("notification", (ADMISSIONS, ASSESSMENTS, DECISIONS), DECISIONS, (NOTIFICATIONS,)),
)


def shape_of(spans: Mapping[str, Span], before: Counters, after: Counters) -> tuple[Stage, ...]:
    """The hops as they were between two looks at the topics and at the tables."""
    came = {**{name: span.records for name, span in spans.items()}, INPUT: sum(spans[t].records for t in INPUTS)}
    stages = []
    for name, reads, driver, outputs in _HOPS:
        rows = {
            table: (after[service, table][0] - before.get((service, table), (0, 0))[0], after[service, table][1])
            for service, table in after
            if service == name
        }
        count = sum(written for written, _ in rows.values())
        size = sum(written * each for written, each in rows.values()) // max(1, count)
        emits = tuple(
            Emit(topic, spans[topic].records, came[driver], _mean_bytes(spans[topic]))
            for topic in outputs
            if spans[topic].records
        )
        stages.append(Stage(name, reads, driver, count, came[driver], size, emits))
    return tuple(stages)


def renamed(stages: Sequence[Stage], prefix: str) -> tuple[Stage, ...]:
    """The same hops over topics of their own."""
    return tuple(
        Stage(
            one.name,
            tuple(prefix + topic for topic in one.reads),
            prefix + one.driver,
            one.row_num,
            one.row_den,
            one.row_bytes,
            tuple(Emit(prefix + emit.topic, emit.num, emit.den, emit.bytes) for emit in one.emits),
        )
        for one in stages
    )


def expected(stages: Sequence[Stage], inputs: int) -> dict[str, int]:
    """Records on each topic when `inputs` records have gone through all hops; a few less where a hop counts by lane."""
    count = {stages[0].driver: inputs}
    for stage in stages:
        for emit in stage.emits:
            count[emit.topic] = count[stage.driver] * emit.num // emit.den
    return count


def filler(size: int) -> bytes:
    """A JSON value of about so many bytes."""
    return json.dumps({"filler": "x" * max(1, size - 14)}).encode()


def write(file: Path, kafka: str, database: str, prefix: str, stages: Sequence[Stage]) -> None:
    """Write what a reference process needs to know."""
    what = {"kafka": kafka, "database": database, "prefix": prefix, "stages": [asdict(one) for one in stages]}
    file.write_text(json.dumps(what))


@dataclass(frozen=True, slots=True)
class Job:
    """What a reference process is told: where, and which hop."""

    kafka: str
    database: str
    prefix: str
    stage: Stage

    @property
    def group(self) -> str:
        return f"{self.prefix}{self.stage.name}"


def read(file: Path, stage: str) -> Job:
    """Read what `write` wrote, for one stage."""
    what = json.loads(file.read_text())
    one = next(each for each in what["stages"] if each["name"] == stage)
    emits = tuple(Emit(**emit) for emit in one.pop("emits"))
    return Job(
        what["kafka"],
        what["database"],
        what["prefix"],
        Stage(**{**one, "reads": tuple(one["reads"])}, emits=emits),
    )


def _mean_bytes(span: Span) -> int:
    """Mean bytes of value and headers: the key travels by itself in every way."""
    return span.bytes // max(1, span.records)
