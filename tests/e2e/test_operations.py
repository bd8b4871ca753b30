"""One claim's trace over a running pipeline, from the event that came in to the refund instruction and the mail."""

import secrets
from collections.abc import Iterator

import pytest

from tests.collector import Collector, Seen
from tests.stack import Message, Received, Stack, event, eventually

PLACED = "2026-11-01T09:00:00+03:30"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A pipeline that tells its spans to the collector."""
    stack = Stack(tmp_path_factory.mktemp("traced"), env={"MAKEGOOD_OTLP": collector.address})
    yield stack
    stack.close()


def order(run: str, traceparent: str = "") -> Message:
    return event(
        "order.placed.v1",
        {
            "merchant": "gejet-mall",
            "order_id": f"{run}-o",
            "placed_at": PLACED,
            "currency": "IRR",
            "customer": {"customer_id": "k", "locale": "fa-IR", "email": f"{run}@example.com"},
            "lines": [{"line_id": "1", "sku": "S", "title": "T", "quantity": 1, "unit_price": "1000000"}],
            "discount": "0",
            "shipping": {"amount": "150000", "carrier": "post", "collect": False},
            "transaction_fee": "50000",
            "payments": [{"payment_id": "p", "provider": "card", "amount": "1200000"}],
        },
        headers={"traceparent": traceparent} if traceparent else {},
    )


def claim(run: str, traceparent: str = "") -> Message:
    return event(
        "claim.submitted.v1",
        {
            "claim_id": f"{run}-c",
            "merchant": "gejet-mall",
            "order_id": f"{run}-o",
            "reported_at": "2026-11-02T20:00:00+03:30",
            "channel": "web",
            "reason": "out_of_stock",
            "lines": [{"line_id": "1", "quantity": 1}],
        },
        headers={"traceparent": traceparent} if traceparent else {},
    )


async def ordered(stack: Stack, run: str) -> None:
    """Place the order and wait until intake knows it: a claim that comes first is parked, which is another story."""
    await stack.publish([order(run)])
    await stack.collect("contacts.v1", lambda found: found, match=lambda one: one.subject == f"{run}-o")


def new_trace(flags: str = "01") -> tuple[str, str, str]:
    """Trace id, span id, and the traceparent of both."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, f"00-{trace}-{span}-{flags}"


async def told(stack: Stack, run: str) -> list[Received]:
    """All that the pipeline has said about the claim, once it is decided, instructed and told."""
    wanted = {"claim.admitted.v1", "claim.assessed.v1", "claim.decided.v1", "refund.instructed.v1"}
    topics = ("admissions.v1", "assessments.v1", "decisions.v1", "refunds.v1", "notifications.v1")
    return await stack.collect(
        topics,
        lambda found: wanted | {"notification.sent.v1"} <= {one.type for one in found},
        match=lambda one: one.subject == f"{run}-c",
        limit=60,
    )


def one(spans: list[Seen], service: str, name: str) -> Seen:
    found = [span for span in spans if (span.service, span.name) == (service, name)]
    assert len(found) == 1, [(span.service, span.name) for span in spans]
    return found[0]


async def test_from_the_claim_to_refund_and_mail(traced: Stack, collector: Collector, unique: str) -> None:
    trace, span, traceparent = new_trace()
    await ordered(traced, unique)
    await traced.publish([claim(unique, traceparent)])
    records = {record.type: record for record in await told(traced, unique)}
    await eventually(lambda: len(collector.trace(trace)) >= 7, 30, why="all spans have come")
    spans = collector.trace(trace)

    intake = one(spans, "intake", "process claims.v1")
    eligibility = one(spans, "eligibility", "process admissions.v1")
    calculation = one(spans, "refund-calculation", "process assessments.v1")
    notification = one(spans, "notification", "process decisions.v1")
    instruction = one(spans, "refund-calculation", "send refunds.v1")
    mail = one(spans, "notification", "mail")
    outcome = one(spans, "notification", "send notifications.v1")
    assert len(spans) == 7, "a service that makes nothing of a record has no span for it"

    assert [
        intake.parent,
        eligibility.parent,
        calculation.parent,
        instruction.parent,
        notification.parent,
        mail.parent,
        outcome.parent,
    ] == [span, intake.span, eligibility.span, calculation.span, calculation.span, notification.span, notification.span]
    assert len({each.span for each in spans}) == 7
    kinds = {"process": "CONSUMER", "send": "PRODUCER", "mail": "CLIENT"}
    assert all(each.kind == kinds[each.name.split()[0]] for each in spans)
    assert all(each.attributes["makegood.merchant"] == "gejet-mall" for each in spans)
    assert all(each.attributes["makegood.claim_id"] == f"{unique}-c" for each in spans)
    assert all(each.started_ns <= each.ended_ns for each in spans)
    assert mail.attributes["makegood.mail.verdict"] == "accepted"

    # What a span says it has read is where that event lies, and each event carries the span that wrote it.
    for each, read in (
        (eligibility, "claim.admitted.v1"),
        (calculation, "claim.assessed.v1"),
        (notification, "claim.decided.v1"),
    ):
        record = records[read]
        assert each.attributes["messaging.destination.name"] == record.topic
        assert each.attributes["messaging.destination.partition.id"] == str(record.partition)
        assert each.attributes["messaging.kafka.offset"] == record.offset
    for type_, writer in (
        ("claim.admitted.v1", intake),
        ("claim.assessed.v1", eligibility),
        ("claim.decided.v1", calculation),
        ("refund.instructed.v1", calculation),
        ("notification.sent.v1", outcome),
    ):
        assert records[type_].header("traceparent") == f"00-{trace}-{writer.span}-01"


async def test_a_parked_claim_goes_on_in_its_own_trace(traced: Stack, collector: Collector, unique: str) -> None:
    trace, span, of_claim = new_trace()
    order_trace, order_span, of_order = new_trace()
    await traced.publish([claim(unique, of_claim)])
    await traced.collect(
        "admissions.v1", lambda found: len(found) == 1, match=lambda r: r.subject == f"{unique}-c", limit=30
    )
    await traced.publish([order(unique, of_order)])
    await told(traced, unique)
    # Parked, taken up when the order came, assessed, decided, instructed, the letter written, handed over, reported.
    await eventually(lambda: len(collector.trace(trace)) >= 8, 30, why="all spans have come")
    spans = collector.trace(trace)
    parked, released = one(spans, "intake", "process claims.v1"), one(spans, "intake", "process orders.v1")
    assert (parked.parent, released.parent) == (span, span)
    assert released.links == ((order_trace, order_span),)
    assert one(spans, "eligibility", "process admissions.v1").parent == released.span
    assert {each.name for each in collector.trace(order_trace)} == {"process orders.v1"}


async def test_a_claim_without_a_trace_begins_one(traced: Stack, collector: Collector, unique: str) -> None:
    await ordered(traced, unique)
    await traced.publish([claim(unique)])
    records = await told(traced, unique)
    await eventually(lambda: len(collector.of_claim(f"{unique}-c")) >= 7, 30, why="all spans have come")
    spans = collector.of_claim(f"{unique}-c")
    (trace,) = {each.trace for each in spans}
    assert one(spans, "intake", "process claims.v1").parent == ""
    assert {record.header("traceparent").split("-")[1] for record in records} == {trace}


async def test_an_unsampled_trace_is_passed_on_and_not_told(traced: Stack, collector: Collector, unique: str) -> None:
    trace, _, traceparent = new_trace("00")
    after, _, sampled = new_trace()
    await ordered(traced, f"{unique}-1")
    await traced.publish([claim(f"{unique}-1", traceparent)])
    records = await told(traced, f"{unique}-1")
    assert {record.header("traceparent").split("-")[1] for record in records} == {trace}
    assert {record.header("traceparent")[-2:] for record in records} == {"00"}
    await ordered(traced, f"{unique}-2")
    await traced.publish([claim(f"{unique}-2", sampled)])
    await eventually(lambda: len(collector.trace(after)) >= 7, 60, why="what came later has come")
    assert collector.trace(trace) == []


async def test_a_dead_letter_is_a_failed_span(traced: Stack, collector: Collector, unique: str) -> None:
    trace, span, traceparent = new_trace()
    bad = event("claim.submitted.v1", {"merchant": "gejet-mall"}, headers={"traceparent": traceparent})
    await traced.publish([bad])
    await eventually(lambda: collector.trace(trace), 30, why="the span has come")
    (seen,) = collector.trace(trace)
    assert (seen.service, seen.name, seen.parent) == ("intake", "process claims.v1", span)
    assert "$.claim_id" in seen.failed
