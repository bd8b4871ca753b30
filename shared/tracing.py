"""Traces (OpenTelemetry): from the input event, hop by hop, to the refund instruction and the mail.

Off unless `MAKEGOOD_OTLP` names a collector; then `traceparent` is passed on as it came, nothing of OpenTelemetry is
imported, and a unit of work pays one look at `active`. Switched on, each service that makes something of a record
continues its trace with a span of its own, and what it emits carries that span. Spans of a unit of work end with its
commit; of one that is rolled back none is told.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, SpanKind, Tracer

    from shared.bus.record import Record
    from shared.settings import Settings

QUEUE_SPANS = 20_000
"""Spans that wait for the collector at most; what is beyond is dropped: traces never hold a claim up."""
_REASON_LENGTH = 200

Attributes = Mapping[str, str | int]

active: Tracing | None = None
"""What makes spans in this process; None where traces are off."""


class Sent(Protocol):
    """An event on its way to Kafka, as far as its span tells of it (`shared.bus.outbox.Outgoing`)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def type(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def traceparent(self) -> str: ...


def begin(settings: Settings, service: str) -> None:
    """Switch traces on where the settings name a collector."""
    if settings.otlp:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - only if on

        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp.rstrip('/')}/v1/traces", timeout=5)
        use(exporter, service, settings.replica, settings.otlp_share)


def use(exporter: SpanExporter, service: str, replica: int = 1, share: float = 1.0) -> None:
    """Hand spans to `exporter` from now on. `share`: of the traces that begin here; others go by their own flag."""
    global active  # noqa: PLW0603 - one per process, as metrics are
    active = Tracing(exporter, service, replica, share)


def end() -> None:
    """Hand over what is left, within 5 s, and switch traces off. Blocks."""
    global active  # noqa: PLW0603 - one per process, as metrics are
    if active is not None:
        active.close()
    active = None


@contextmanager
def step(name: str, traceparent: str, attributes: Attributes) -> Iterator[dict[str, str | int]]:
    """A span around something that leaves the pipeline; what the caller puts into the mapping goes with it."""
    told: dict[str, str | int] = {}
    tracing = active
    if tracing is None:
        yield told
        return
    span = tracing.start(name, tracing.kinds.CLIENT, traceparent, attributes)
    try:
        yield told
    finally:
        for key, value in told.items():
            span.set_attribute(key, value)
        span.end()


class Tracing:
    """Makes spans and hands them to an exporter, in a thread of its own and in batches."""

    def __init__(self, exporter: SpanExporter, service: str, replica: int, share: float) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - only where traces are on
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only where traces are on
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - only where traces are on
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - only where traces are on
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - only if on

        self.trace = trace
        self.kinds = trace.SpanKind
        self.service = service
        self._provider: TracerProvider = TracerProvider(
            resource=Resource(
                {
                    "service.name": service,
                    "service.namespace": "makegood",
                    "service.instance.id": f"{service}-{replica}",
                }
            ),
            sampler=ParentBased(TraceIdRatioBased(share)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, QUEUE_SPANS, schedule_delay_millis=1000, max_export_batch_size=512)
        )
        self._tracer: Tracer = self._provider.get_tracer("makegood")

    def start(
        self, name: str, kind: SpanKind, traceparent: str, attributes: Attributes, at_ns: int | None = None
    ) -> Span:
        """A span that continues `traceparent`; one that W3C would not take, or none, begins a trace."""
        return self._tracer.start_span(name, self._parent(traceparent), kind, attributes, start_time=at_ns)

    def unit(self) -> Hops:
        """The spans of one unit of work."""
        return Hops(self, time.time_ns())

    def sent(self, events: Sequence[Sent], started_ns: int) -> None:
        """Events have been acknowledged by Kafka: a span for each, beside what is made of them by their readers."""
        now = time.time_ns()
        for event in events:
            if event.traceparent:
                attributes = _about(event.key, event.type, event.subject) | _place(event.topic, event.partition)
                self.start(f"send {event.topic}", self.kinds.PRODUCER, event.traceparent, attributes, started_ns).end(
                    now
                )

    def close(self) -> None:
        """Hand over what is left; waits 5 s at most."""
        self._provider.force_flush(5000)
        self._provider.shutdown()

    def _parent(self, traceparent: str) -> Context:
        from opentelemetry.context import Context  # noqa: PLC0415 - only where traces are on

        found = _read(traceparent)
        if found is None:
            return Context()
        trace_id, span_id, flags = found
        parent = self.trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=self.trace.TraceFlags(flags))
        return self.trace.set_span_in_context(self.trace.NonRecordingSpan(parent), Context())


class Hops:
    """The spans of one unit of work: one for each record that something comes of, for each trace it continues, for each
    claim that it is about."""

    def __init__(self, tracing: Tracing, started_ns: int) -> None:
        self._tracing = tracing
        self._started = started_ns
        self._spans: dict[tuple[str, int, int, str, object], Span] = {}
        self._others: list[Span] = []

    def carry(self, cause: Record | None, traceparent: str, topic: str, key: bytes, type_: str, subject: str) -> str:
        """The `traceparent` for an event: that of this service's own span, which continues the one given.

        Without a cause (a timer, a person) the span is the event's alone; without a `traceparent` it begins a trace.
        """
        if _unsampled(traceparent):
            return traceparent
        about = _about(key, type_, subject)
        if cause is None:
            attributes = about | {"messaging.destination.name": topic}
            span = self._tracing.start(
                f"send {topic}", self._tracing.kinds.PRODUCER, traceparent, attributes, self._started
            )
            self._others.append(span)
        else:
            span = self._of(cause, traceparent, about)
        return _written(span)

    def of(self, record: Record) -> str:
        """The `traceparent` that continues a record's."""
        if _unsampled(record.traceparent):
            return record.traceparent
        return _written(self._of(record, record.traceparent, _about(record.key, record.type, record.subject)))

    def failed(self, record: Record, reason: str) -> None:
        """A record was dead-lettered."""
        span = self._of(record, record.traceparent, _about(record.key, record.type, record.subject))
        status = self._tracing.trace.Status(self._tracing.trace.StatusCode.ERROR, reason[:_REASON_LENGTH])
        span.set_status(status)

    def end(self) -> None:
        """The unit of work is committed."""
        now = time.time_ns()
        for span in (*self._spans.values(), *self._others):
            span.end(now)

    def _of(self, record: Record, traceparent: str, about: dict[str, str | int]) -> Span:
        key = (record.topic, record.partition, record.offset, traceparent, about.get("makegood.claim_id"))
        found = self._spans.get(key)
        if found is None:
            attributes = about | _place(record.topic, record.partition) | {"messaging.kafka.offset": record.offset}
            attributes["messaging.operation.name"] = "process"
            attributes["messaging.consumer.group.name"] = self._tracing.service
            found = self._tracing.start(
                f"process {record.topic}", self._tracing.kinds.CONSUMER, traceparent, attributes, self._started
            )
            self._spans[key] = found
            self._link(record, traceparent, found)
        return found

    def _link(self, record: Record, traceparent: str, span: Span) -> None:
        """What a record let go (a parked claim) continues its own trace; a link says which record it was."""
        origin = _read(record.traceparent)
        if traceparent != record.traceparent and origin is not None:
            trace_id, span_id, flags = origin
            trace = self._tracing.trace
            span.add_link(trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags)))


def _about(key: bytes | None, type_: str, subject: str) -> dict[str, str | int]:
    """Whose event it is. The key is `<merchant>/<order_id>`; the subject is the claim's id where there is a claim."""
    merchant, _, order_id = (key or b"").decode("utf-8", "replace").partition("/")
    attributes: dict[str, str | int] = {"makegood.merchant": merchant, "makegood.order_id": order_id}
    if subject and not type_.startswith(("order.", "customer.")):
        attributes["makegood.claim_id"] = subject
    if type_:
        attributes["makegood.type"] = type_
    return attributes


def _place(topic: str, partition: int) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
    }


def _read(traceparent: str) -> tuple[int, int, int] | None:
    """Trace id, span id and flags of a W3C traceparent; None where it is none."""
    parts = traceparent.split("-")
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2] or parts[0] == "ff":
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:4])
    except ValueError:
        return None
    return (trace_id, span_id, flags & 1) if trace_id and span_id else None


def _unsampled(traceparent: str) -> bool:
    """Whether it is of a trace that is not recorded: then it is passed on as it came, and costs nothing."""
    return traceparent.endswith("-00") and _read(traceparent) is not None


def _written(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"
