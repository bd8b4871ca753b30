"""CloudEvents over Kafka: modes, attributes, topics, and what goes out."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.events import TYPES, BadEvent, OrderPlaced
from shared.events.envelope import open_again, open_input, output_headers
from shared.events.topics import INPUT_TOPIC_OF, INPUT_TOPICS, OUTPUT_TOPICS, TOPICS, TYPES_OF, dlq_topic, dlq_topics
from tests.contract.samples import STRUCTURED, binary, example, structured

TYPE = "order.placed.v1"
VALUE = json.dumps(example(TYPE)).encode()
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _without(name: str) -> list[tuple[str, bytes]]:
    return [header for header in binary(TYPE) if header[0] != name]


def test_binary_mode() -> None:
    headers = [*binary(TYPE, time="2026-11-01T09:00:00+03:30", subject="GM-1001"), ("traceparent", TRACE.encode())]
    envelope = open_input("orders.v1", headers, VALUE)
    assert (envelope.type, envelope.id, envelope.source) == (TYPE, "e-1", "/shop")
    assert (envelope.subject, envelope.traceparent) == ("GM-1001", TRACE)
    assert envelope.time == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert isinstance(envelope.data, OrderPlaced)


def test_optional_attributes_may_be_left_out() -> None:
    envelope = open_input("orders.v1", binary(TYPE), VALUE)
    assert (envelope.time, envelope.subject, envelope.traceparent) == (None, "", "")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "text/json", "a/b+json"],
)
def test_binary_content_types(content_type: str) -> None:
    open_input("orders.v1", [*binary(TYPE), ("content-type", content_type.encode())], VALUE)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "application/cloudevents+json; charset=UTF-8",
        'application/cloudevents+json;charset="utf-8"; x=y',
        "Application/CloudEvents+JSON",
    ],
)
def test_structured_content_types(content_type: str) -> None:
    value = structured(TYPE, f'"data": {VALUE.decode()}')
    envelope = open_input("orders.v1", [("content-type", content_type.encode())], value)
    assert envelope.data == open_input("orders.v1", binary(TYPE), VALUE).data


def test_structured_mode_is_the_same_event() -> None:
    members = f'"time": "2026-11-01T05:30:00Z", "subject": "GM-1001", "traceparent": "{TRACE}"'
    value = structured(TYPE, f'{members}, "datacontenttype": "application/json", "data": {VALUE.decode()}')
    headers = [*binary(TYPE, time="2026-11-01T09:00:00+03:30", subject="GM-1001"), ("traceparent", TRACE.encode())]
    assert open_input("orders.v1", STRUCTURED, value) == open_input("orders.v1", headers, VALUE)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (_without("ce_id"), "ce_id: is missing"),
        (_without("ce_source"), "ce_source: is missing"),
        (_without("ce_type"), "ce_type: is missing"),
        (_without("ce_specversion"), "ce_specversion: is missing"),
        ([], "ce_specversion: is missing"),
        (binary(TYPE, id=""), "ce_id: is blank"),
        (binary(TYPE, source=" "), "ce_source: is blank"),
        (binary(TYPE, id="x" * 129), "ce_id: has more than 128"),
        (binary(TYPE, source="x" * 1025), "ce_source: has more than 1024"),
        (binary(TYPE, id="a\x00b"), "ce_id: holds a control character"),
        (binary(TYPE, subject="a\x00b"), "ce_subject: "),
        (binary(TYPE, specversion="0.3"), "ce_specversion: '0.3'"),
        (binary(TYPE, specversion="1"), "ce_specversion: '1'"),
        (binary(TYPE, time="2026-11-01T09:00:00"), "ce_time: "),
        (binary(TYPE, time=""), "ce_time: "),
        (binary("order.lost.v1"), "ce_type: 'order.lost.v1' is not a type"),
        ([*_without("ce_id"), ("ce_id", b"\xff\xfe")], "ce_id: the header is not UTF-8"),
        ([*_without("ce_type"), ("ce_type", b"\xc3")], "ce_type: the header is not UTF-8"),
        ([*binary(TYPE), ("content-type", b"\xff")], "content-type: the header is not UTF-8"),
        ([*binary(TYPE), ("ce_id", b"e-2")], "ce_id: the header is there twice"),
        ([*binary(TYPE), ("content-type", b"application/avro")], "content-type: 'application/avro'"),
        ([*binary(TYPE), ("content-type", b"application/json; charset=utf-16")], "charset 'utf-16'"),
        ([*binary(TYPE), ("content-type", b"application/cloudevents-batch+json")], "content-type: "),
        ([*binary(TYPE), ("content-type", b"application/cloudevents+avro")], "content-type: "),
    ],
)
def test_bad_headers_are_named(headers: list[tuple[str, bytes]], says: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        open_input("orders.v1", headers, VALUE)
    assert refusal.value.path == "$"
    assert says in refusal.value.message


def test_every_missing_attribute_is_told() -> None:
    with pytest.raises(BadEvent) as refusal:
        open_input("orders.v1", [("ce_specversion", b"1.0")], VALUE)
    assert len(refusal.value.flaws) == 3


@pytest.mark.parametrize(
    "header",
    [
        ("x-note", b"\xff"),
        ("traceparent", b"\xff"),
        ("ce_id", b"e-1"),
        ("traceparent", b"00-nonsense"),
        ("ce_x", b"\xff"),
    ],
)
def test_harmless_headers(header: tuple[str, bytes]) -> None:
    assert open_input("orders.v1", [*binary(TYPE), header], VALUE).traceparent == ""


@pytest.mark.parametrize(
    "trace",
    ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + TRACE[2:], TRACE.upper(), TRACE + "\n", TRACE[:-1]],
)
def test_a_traceparent_that_w3c_refuses_is_dropped(trace: str) -> None:
    assert open_input("orders.v1", [*binary(TYPE), ("traceparent", trace.encode())], VALUE).traceparent == ""


def _envelope(put: dict[str, object], drop: tuple[str, ...] = ()) -> bytes:
    envelope = {"specversion": "1.0", "id": "e-1", "source": "/shop", "type": TYPE, "data": example(TYPE), **put}
    return json.dumps({name: value for name, value in envelope.items() if name not in drop}).encode()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (_envelope({}, ("id",)), "id: is missing"),
        (_envelope({}, ("data",)), "data: is missing"),
        (_envelope({"id": None}), "id: is missing"),
        (_envelope({"id": 7}), "id: must be a string"),
        (_envelope({"specversion": 1.0}), "specversion: must be a string"),
        (_envelope({"time": "yesterday"}), "time: 'yesterday'"),
        (_envelope({"type": "order.lost.v1"}), "type: 'order.lost.v1'"),
        (_envelope({"datacontenttype": "text/xml"}), "datacontenttype: 'text/xml'"),
        (_envelope({"data_base64": "e30="}), "data: is there beside"),
        (_envelope({"data_base64": "e30"}, ("data",)), "data_base64: is not Base64"),
        (_envelope({"data_base64": "é"}, ("data",)), "data_base64: is not Base64"),
        (_envelope({"data_base64": 1}, ("data",)), "data_base64: must be a string"),
        (_envelope({"data": json.dumps(example(TYPE))}), "must be an object"),
        (b"[]", "must be an object"),
        (b'{"id": "a", "id": "b"}', "id: is there twice"),
    ],
)
def test_bad_structured_events(value: bytes, says: str) -> None:
    with pytest.raises(BadEvent) as refusal:
        open_input("orders.v1", STRUCTURED, value)
    assert refusal.value.path == "$"
    assert says in refusal.value.message


@pytest.mark.parametrize("topic", INPUT_TOPICS)
@pytest.mark.parametrize("type_", TYPES)
def test_a_type_is_taken_on_its_own_topic_alone(type_: str, topic: str) -> None:
    value = json.dumps(example(type_)).encode()
    if INPUT_TOPIC_OF.get(type_) == topic:
        assert open_input(topic, binary(type_), value).type == type_
    else:
        with pytest.raises(BadEvent, match="has no place on") as refusal:
            open_input(topic, binary(type_), value)
        assert INPUT_TOPIC_OF.get(type_, "only the pipeline") in refusal.value.message


def test_topics_hold_every_type() -> None:
    assert set(TOPICS) == set(TYPES_OF) == set(INPUT_TOPICS) | set(OUTPUT_TOPICS)
    assert {type_ for types in TYPES_OF.values() for type_ in types} == set(TYPES)


def test_dead_letter_topics() -> None:
    assert dlq_topic("orders.v1", "intake") == "orders.v1.intake.dlq"
    assert "assessments.v1.refund-calculation.dlq" in dlq_topics()
    assert len(set(dlq_topics())) == len(dlq_topics())


def test_output_headers_are_binary_cloudevents() -> None:
    tehran = timezone(timedelta(hours=3, minutes=30))
    time = datetime(2026, 11, 1, 9, 0, 0, 250_000, tzinfo=tehran)
    assert output_headers("claim.parked.v1", "0-17", "/makegood/intake", "ادعا", time, TRACE) == [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"claim.parked.v1"),
        ("ce_id", b"0-17"),
        ("ce_source", b"/makegood/intake"),
        ("ce_subject", "ادعا".encode()),
        ("ce_time", b"2026-11-01T05:30:00.250000Z"),
        ("content-type", b"application/json"),
        ("traceparent", TRACE.encode()),
    ]


def test_output_headers_are_accepted_as_input() -> None:
    headers = output_headers(TYPE, "e-9", "/shop", "GM-1001", datetime(2026, 11, 1, tzinfo=UTC))
    envelope = open_input("orders.v1", headers, VALUE)
    assert (envelope.id, envelope.subject, envelope.traceparent) == ("e-9", "GM-1001", "")


def test_opened_again_it_says_the_same_and_has_no_digest() -> None:
    first = open_input("orders.v1", binary(TYPE), VALUE)
    assert open_again("orders.v1", binary(TYPE), VALUE) == first._replace(digest=b"")
    with pytest.raises(BadEvent):
        open_again("orders.v1", binary(TYPE), VALUE.replace(b"order_id", b"other_id"))
