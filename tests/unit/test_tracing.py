"""Spans of a unit of work, with an exporter in memory. A claim's whole way: tests/e2e/watched/test_operations.py."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import tracing
from shared.bus import Record
from shared.settings import Settings

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RECORD = Record(
    "claims.v1",
    3,
    41,
    0,
    b"gejet-mall/o-1",
    b"{}",
    (),
    type="claim.submitted.v1",
    subject="c-1",
    traceparent=f"00-{TRACE}-{SPAN}-01",
)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.use(exporter, "intake")
    yield exporter
    tracing.end()


def hops() -> tracing.Hops:
    assert tracing.active is not None
    return tracing.active.unit()


def told(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    """What has been handed over by the end of the process."""
    tracing.end()
    return exporter.get_finished_spans()


def carry(of: tracing.Hops, cause: Record | None, traceparent: str, subject: str = "c-1") -> str:
    return of.carry(cause, traceparent, "admissions.v1", b"gejet-mall/o-1", "claim.admitted.v1", subject)


def test_all_that_comes_of_a_record_carries_its_one_span(exporter: InMemorySpanExporter) -> None:
    unit = hops()
    first = carry(unit, RECORD, RECORD.traceparent)
    assert carry(unit, RECORD, RECORD.traceparent) == first == unit.of(RECORD)
    unit.end()
    (span,) = told(exporter)
    assert span.context is not None
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert first == f"00-{TRACE}-{span.context.span_id:016x}-01"
    assert dict(span.attributes or {}) == {
        "makegood.merchant": "gejet-mall",
        "makegood.order_id": "o-1",
        "makegood.claim_id": "c-1",
        "makegood.type": "claim.admitted.v1",
        "messaging.system": "kafka",
        "messaging.destination.name": "claims.v1",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 41,
        "messaging.operation.name": "process",
        "messaging.consumer.group.name": "intake",
    }


def test_each_claim_that_a_record_is_about_has_a_span(exporter: InMemorySpanExporter) -> None:
    delivered = replace(RECORD, topic="admissions.v1", type="order.delivered.v1", subject="o-1")
    unit = hops()
    carried = {carry(unit, delivered, delivered.traceparent, claim) for claim in ("c-1", "c-2")}
    assert len(carried) == 2
    unit.end()
    assert {(span.attributes or {})["makegood.claim_id"] for span in told(exporter)} == {"c-1", "c-2"}


def test_what_is_rolled_back_is_not_told(exporter: InMemorySpanExporter) -> None:
    carry(hops(), RECORD, RECORD.traceparent)
    assert told(exporter) == ()


def test_a_record_of_which_nothing_comes_has_no_span(exporter: InMemorySpanExporter) -> None:
    hops().end()
    assert told(exporter) == ()


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        "not-a-trace-parent",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}x-{SPAN}-01",
    ],
)
def test_what_is_no_traceparent_begins_a_trace(exporter: InMemorySpanExporter, traceparent: str) -> None:
    unit = hops()
    carried = carry(unit, replace(RECORD, traceparent=traceparent), traceparent)
    unit.end()
    (span,) = told(exporter)
    assert span.parent is None
    assert TRACE not in carried


def test_an_unsampled_trace_goes_on_and_is_not_told(exporter: InMemorySpanExporter) -> None:
    unit = hops()
    carried = carry(unit, RECORD, f"00-{TRACE}-{SPAN}-00")
    unit.end()
    assert (carried[3:35], carried[-2:]) == (TRACE, "00")
    assert told(exporter) == ()


def test_none_of_the_traces_that_begin_here_where_the_share_is_0() -> None:
    exporter = InMemorySpanExporter()
    tracing.use(exporter, "intake", share=0.0)
    unit = hops()
    assert carry(unit, None, "").endswith("-00")
    carry(unit, RECORD, RECORD.traceparent)
    unit.end()
    assert len(told(exporter)) == 1, "what came with a trace that is recorded goes by its flag"


def test_a_step_is_told_also_where_it_fails(exporter: InMemorySpanExporter) -> None:
    def hang_up() -> None:
        with tracing.step("mail", RECORD.traceparent, {"makegood.template": "decided"}) as about:
            about["makegood.mail.verdict"] = "later"
            raise ConnectionError

    with pytest.raises(ConnectionError):
        hang_up()
    (span,) = told(exporter)
    assert dict(span.attributes or {}) == {"makegood.template": "decided", "makegood.mail.verdict": "later"}


def test_off_is_off() -> None:
    tracing.begin(Settings(otlp=""), "intake")
    assert tracing.active is None
    with tracing.step("mail", "", {}) as about:
        about["makegood.mail.verdict"] = "accepted"


def test_off_imports_nothing() -> None:
    look = "import sys, shared.run, services.notification.app; print([m for m in sys.modules if 'telemetry.sdk' in m])"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "[]"
