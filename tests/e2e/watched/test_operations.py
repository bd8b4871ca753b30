"""What a running pipeline tells of itself: every metric that is asked for, and a claim's trace from the event that came
in to the refund instruction and the mail."""

import secrets
import urllib.request
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.collector import Collector, Seen
from tests.operations import asked, defined
from tests.stack import Message, Received, Stack, event, eventually

PLACED = "2026-11-01T09:00:00+03:30"


def order(run: str, traceparent: str = "", email: str | None = None) -> Message:
    return event(
        "order.placed.v1",
        {
            "merchant": "gejet-mall",
            "order_id": f"{run}-o",
            "placed_at": PLACED,
            "currency": "IRR",
            "customer": {"customer_id": "k", "locale": "fa-IR", "email": email or f"{run}@example.com"},
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


async def ends_of_all_kinds(stack: Stack, run: str) -> None:
    """A refund that succeeds, one that fails, a letter that does not go out, a dead letter: once, and seen to."""
    await stack.publish([order(f"{run}-{n}", email="nobody at all" if n == 3 else None) for n in range(1, 4)])
    await stack.publish([claim(f"{run}-{n}") for n in range(1, 4)])
    claims = {f"{run}-{n}-c" for n in range(1, 4)}
    instructed = await stack.collect(
        "refunds.v1", lambda found: {r.subject for r in found} == claims, match=lambda r: r.subject in claims, limit=60
    )
    await stack.publish(
        event(
            "refund.settled.v1",
            {name: record.data[name] for name in ("refund_id", "merchant", "order_id", "claim_id")}
            | {
                "status": "failed" if record.subject == f"{run}-2-c" else "succeeded",
                "settled_at": "2026-11-06T10:00:00+03:30",
                "provider_reference": "r",
            },
        )
        for record in instructed
    )
    await stack.publish([event("claim.submitted.v1", {"merchant": "gejet-mall"})])
    await stack.collect(
        ("decisions.v1", "notifications.v1", "claims.v1.intake.dlq"),
        lambda found: (
            sum(r.type == "claim.settled.v1" for r in found) == 3
            and {"notification.sent.v1", "notification.failed.v1"} <= {r.type for r in found}
            and any(r.topic.endswith(".dlq") for r in found)
        ),
        match=lambda r: r.subject in claims or r.topic.endswith(".dlq"),
        limit=60,
    )


def exported(stack: Stack) -> Iterator[Sample]:
    """The samples of every process, from its `/metrics`."""
    for replica in stack.supervisor.replicas:
        with urllib.request.urlopen(f"http://127.0.0.1:{replica.state.health}/metrics", timeout=10) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                yield from family.samples


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


async def test_all_that_is_asked_for_is_exported(watched: Stack, unique: str) -> None:
    await ends_of_all_kinds(watched, unique)
    named = {name for query in asked() for name in query.names} - {"up"}
    await eventually(lambda: named <= {sample.name for sample in exported(watched)}, 30, every=0.5, why="all names")

    samples = [sample for sample in exported(watched) if sample.name.startswith("makegood_")]
    series = {name: metric for metric in defined() for name in (*metric.series, f"{metric.name}_created")}
    for sample in samples:
        metric = series.get(sample.name) or series[sample.name.replace("_created", "_total")]
        assert set(sample.labels) - {"le"} == set(metric.labels)
        assert not any(unique in value for value in sample.labels.values()), "an id in a label"

    def total(name: str, **labels: str) -> float:
        return sum(one.value for one in exported(watched) if one.name == name and labels.items() <= one.labels.items())

    def counted() -> list[bool]:
        return [
            total("makegood_dead_letters_open", service="intake") >= 1,
            total("makegood_refunds_total", outcome="failed", currency="IRR") >= 1,
            total("makegood_refunds_total", outcome="succeeded", currency="IRR") >= 2,
            total("makegood_refunds_instructed_minor_units_total", currency="IRR") >= 3 * 1_200_000,
            total("makegood_decisions_total", merchant="gejet-mall", outcome="refund", decided_by="policy") >= 3,
            total("makegood_notifications_total", outcome="failed", template="decided") >= 1,
            total("makegood_claims_reached_total", stage="paid") >= 2,
            total("makegood_claims", state="payment_failed") + total("makegood_claims", state="review") >= 1,
            # All is read, also where a topic ends in a transaction's marker.
            total("makegood_lag_records") == 0,
        ]

    expected = [True] * len(counted())
    await eventually(lambda: counted() == expected, 30, every=0.5, why="all is counted")


async def test_from_the_claim_to_refund_and_mail(watched: Stack, collector: Collector, unique: str) -> None:
    trace, span, traceparent = new_trace()
    await ordered(watched, unique)
    await watched.publish([claim(unique, traceparent)])
    records = {record.type: record for record in await told(watched, unique)}
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


async def test_a_parked_claim_goes_on_in_its_own_trace(watched: Stack, collector: Collector, unique: str) -> None:
    trace, span, of_claim = new_trace()
    order_trace, order_span, of_order = new_trace()
    await watched.publish([claim(unique, of_claim)])
    await watched.collect(
        "admissions.v1", lambda found: len(found) == 1, match=lambda r: r.subject == f"{unique}-c", limit=30
    )
    await watched.publish([order(unique, of_order)])
    await told(watched, unique)
    # Parked, taken up when the order came, assessed, decided, instructed, the letter written, handed over, reported.
    await eventually(lambda: len(collector.trace(trace)) >= 8, 30, why="all spans have come")
    spans = collector.trace(trace)
    parked, released = one(spans, "intake", "process claims.v1"), one(spans, "intake", "process orders.v1")
    assert (parked.parent, released.parent) == (span, span)
    assert released.links == ((order_trace, order_span),)
    assert one(spans, "eligibility", "process admissions.v1").parent == released.span
    assert {each.name for each in collector.trace(order_trace)} == {"process orders.v1"}


async def test_a_claim_without_a_trace_begins_one(watched: Stack, collector: Collector, unique: str) -> None:
    await ordered(watched, unique)
    await watched.publish([claim(unique)])
    records = await told(watched, unique)
    await eventually(lambda: len(collector.of_claim(f"{unique}-c")) >= 7, 30, why="all spans have come")
    spans = collector.of_claim(f"{unique}-c")
    (trace,) = {each.trace for each in spans}
    assert one(spans, "intake", "process claims.v1").parent == ""
    assert {record.header("traceparent").split("-")[1] for record in records} == {trace}


async def test_an_unsampled_trace_is_passed_on_and_not_told(watched: Stack, collector: Collector, unique: str) -> None:
    trace, _, traceparent = new_trace("00")
    after, _, sampled = new_trace()
    await ordered(watched, f"{unique}-1")
    await watched.publish([claim(f"{unique}-1", traceparent)])
    records = await told(watched, f"{unique}-1")
    assert {record.header("traceparent").split("-")[1] for record in records} == {trace}
    assert {record.header("traceparent")[-2:] for record in records} == {"00"}
    await ordered(watched, f"{unique}-2")
    await watched.publish([claim(f"{unique}-2", sampled)])
    await eventually(lambda: len(collector.trace(after)) >= 7, 60, why="what came later has come")
    assert collector.trace(trace) == []


async def test_a_dead_letter_is_a_failed_span(watched: Stack, collector: Collector, unique: str) -> None:
    trace, span, traceparent = new_trace()
    bad = event("claim.submitted.v1", {"merchant": "gejet-mall"}, headers={"traceparent": traceparent})
    await watched.publish([bad])
    await eventually(lambda: collector.trace(trace), 30, why="the span has come")
    (seen,) = collector.trace(trace)
    assert (seen.service, seen.name, seen.parent) == ("intake", "process claims.v1", span)
    assert "$.claim_id" in seen.failed
