"""Records in, effects out: opening what came, and carrying out what was decided about it."""

from collections.abc import Callable, Iterable
from typing import Final, cast

import structlog

from services.intake.desk import Letter, event_mark, item_marks
from services.intake.state import Arrival, Bury, Count, Effect, Emit, Input, Note, Output, data_of, read_decided
from shared.bus import Record, Work, order_key
from shared.events import BadEvent, ClaimDecided, ClaimSubmitted, CustomerContact, topics
from shared.events.envelope import Envelope, open_again, open_input

log = structlog.get_logger(__name__)

_FLAWS_TOLD: Final = 5
_Open = Callable[[str, tuple[tuple[str, bytes], ...], bytes | None], Envelope]


class Mail:
    """The records of a unit of work by number (`ref`): what waited has that of its row, what is new a higher one."""

    FIRST_NEW: Final = 1 << 62

    def __init__(self, work: Work) -> None:
        self._work = work
        self.records: dict[int, Record] = {}
        self._traces: dict[int, str] = {}

    def open_new(self) -> list[Letter]:
        """The letters of the batch; what cannot be read is dead-lettered, what is not for intake is counted."""
        opened = (self.open(self.FIRST_NEW + number, record) for number, record in enumerate(self._work.records))
        return [letter for letter in opened if letter is not None]

    def open(self, ref: int, record: Record, *, lane: int | None = None) -> Letter | None:
        """Read a record; null when it is dead-lettered (counting in `lane`) or nothing for intake."""
        return self._opened(ref, record, lane, open_input)

    def open_kept(self, ref: int, record: Record, *, lane: int | None = None) -> Letter | None:
        """As `open`, for a record that was opened before and has waited: its marks have no digests."""
        return self._opened(ref, record, lane, open_again)

    def _opened(self, ref: int, record: Record, lane: int | None, open_: _Open) -> Letter | None:
        self.records[ref] = record
        try:
            if record.topic == topics.DECISIONS:
                return self._read_decision(ref, record)
            return self._read(ref, open_(record.topic, record.headers, record.value))
        except BadEvent as bad:
            told = "; ".join(f"{path}: {message}" for path, message in bad.flaws[:_FLAWS_TOLD])
            self._work.dead(record, told, bad.path, lane=lane)
            return None

    def carry_out(self, effects: Iterable[Effect], cause: Record | None, lane: int) -> None:
        """Emit, dead-letter, note and count, in a lane, what was decided because of a record (null: of time)."""
        for effect in effects:
            match effect:
                case Emit(event, ref):
                    self._emit(event, cause, lane, self._traces.get(ref, ""))
                case Bury(ref, reason, path, bug):
                    if bug is not None:
                        log.error("event_failed", topic=self.records[ref].topic, exc_info=bug)
                    self._work.dead(self.records[ref], reason if path == "$" else f"{path}: {reason}", path, lane=lane)
                case Note(merchant, claim_id, what):
                    self._work.history(merchant, claim_id, what, cause=cause, lane=lane)
                case Count(outcome):
                    self._work.count(outcome)

    def _read(self, ref: int, envelope: Envelope) -> Letter:
        event = cast("Input", envelope.data)  # an envelope of an input topic holds nothing else
        self._traces[ref] = envelope.traceparent
        mark = event_mark(envelope.source, envelope.id, envelope.type, envelope.digest)
        name = mark.name if envelope.type == ClaimSubmitted.type else ""
        return Letter(Arrival(event, ref, name=name), (mark, *item_marks(event)))

    def _read_decision(self, ref: int, record: Record) -> Letter | None:
        if record.type != ClaimDecided.type:
            self._work.count("ignored")
            return None
        return Letter(Arrival(read_decided(record.value or b""), ref), ())

    def _emit(self, event: Output, cause: Record | None, lane: int, traceparent: str) -> None:
        claim_id: str | None = getattr(event, "claim_id", None)
        self._work.emit(
            topics.CONTACTS if event.type == CustomerContact.type else topics.ADMISSIONS,
            event.type,
            data_of(event),
            key=order_key(event.merchant, event.order_id),
            subject=claim_id or event.order_id,
            cause=cause,
            lane=lane,
            traceparent=traceparent,
        )
