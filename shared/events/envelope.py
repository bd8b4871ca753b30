"""CloudEvents 1.0 over Kafka: an incoming record, in binary or structured mode, becomes an `Envelope`; and the headers
of what goes out. Kafka binding: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, NoReturn

from shared.events import TYPES, parse
from shared.events.canonical import check, digest, read, refuse_flaws
from shared.events.failure import BadEvent
from shared.events.fields import ID_LENGTH, normalise_instant
from shared.events.model import Event
from shared.events.topics import INPUT_TOPIC_OF, TYPES_OF

VALUE_LIMIT: Final = 256 * 1024
SOURCE_LENGTH: Final = 1024

_STRUCTURED: Final = "application/cloudevents+json"
_READ: Final = frozenset(
    (
        "content-type",
        "traceparent",
        *(f"ce_{name}" for name in ("id", "source", "type", "specversion", "time", "subject", "traceparent")),
    )
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_USUAL_TIME: Final = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](?:\.[0-9]{1,6})?Z", re.ASCII)
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_CHARSET: Final = re.compile(r';\s*charset="?([^";\s]*)', re.IGNORECASE)

Headers = Collection[tuple[str, bytes | None]]


class Envelope(NamedTuple):
    """An event that came in. `subject` and `traceparent` are "" where there is none (or none that W3C would take);
    `digest` is that of the data as it came (`shared.events.canonical.digest`), empty where it was opened before."""

    type: str
    id: str
    source: str
    time: datetime | None
    subject: str
    traceparent: str
    data: Event
    digest: bytes


def open_input(topic: str, headers: Headers, value: bytes | None) -> Envelope:
    """The event of a record of an input topic, checked against the contract.

    Raises `BadEvent`, and nothing else, for whatever the contract does not take.
    """
    return _opened(topic, headers, value, again=False)


def open_again(topic: str, headers: Headers, value: bytes | None) -> Envelope:
    """As `open_input`, for a record that it took before and that was kept as it came: what needs no model (depth, NUL,
    members given twice) is not looked for again, and there is no digest."""
    return _opened(topic, headers, value, again=True)


def _opened(topic: str, headers: Headers, value: bytes | None, *, again: bool) -> Envelope:
    if value is None:
        raise BadEvent("$", "there is no value: an event was expected")
    if len(value) > VALUE_LIMIT:
        raise BadEvent("$", f"the value has {len(value)} bytes, and the most is {VALUE_LIMIT}")
    given = _headers(headers)
    attributes, data, name = _by_media_type(given, value)
    type_ = _check_attributes(attributes, name)
    if type_ not in TYPES_OF.get(topic, ()):
        _refuse_topic(type_, topic, name.format("type"))
    event, fingerprint = (parse(TYPES[type_], data), b"") if again else open_data(type_, data)
    return Envelope(
        type_,
        attributes["ce_id"],
        attributes["ce_source"],
        _time(attributes, name),
        attributes.get("ce_subject", ""),
        _traceparent(given.get("traceparent") or attributes.get("ce_traceparent", "")),
        event,
        fingerprint,
    )


def open_data(type_: str, data: bytes) -> tuple[Event, bytes]:
    """The data of an input event, as strictly as from a stranger, and its digest. Raises `BadEvent`."""
    model = TYPES.get(type_)
    if model is None:
        raise BadEvent("$", f"{type_!r:.150} is not a type of this contract")
    check(data)
    return parse(model, data), digest(data)


def output_headers(
    type_: str, id_: str, source: str, subject: str, time: datetime, traceparent: str = ""
) -> list[tuple[str, bytes]]:
    """The headers of an event in binary mode; `time` is aware."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", type_.encode()),
        ("ce_id", id_.encode()),
        ("ce_source", source.encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()),
        ("content-type", b"application/json"),
    ]
    if traceparent:
        headers.append(("traceparent", traceparent.encode()))
    return headers


def _headers(headers: Headers) -> dict[str, str]:
    """The headers that are read here. One that comes twice must say the same; a null is none at all."""
    usual = dict(headers)
    if len(usual) == len(headers) and usual.keys() <= _READ:
        try:
            return {name: raw.decode() for name, raw in usual.items() if raw is not None}
        except UnicodeDecodeError:
            pass  # which of them it is, and whether it matters, is seen below
    given: dict[str, str] = {}
    for name, raw in headers:
        lower = name if name in _READ else name.lower()
        if raw is None or lower not in _READ:
            continue
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            if lower == "traceparent":
                continue
            raise BadEvent("$", f"{lower}: the header is not UTF-8") from None
        if given.setdefault(lower, text) != text:
            raise BadEvent("$", f"{lower}: the header is there twice and says two things")
    return given


def _by_media_type(given: dict[str, str], value: bytes) -> tuple[dict[str, str], bytes, str]:
    """The attributes by the names of their headers, the data, and how the sender spells an attribute's name."""
    content_type = given.get("content-type", "")
    if content_type in ("", "application/json"):
        return given, value, "ce_{}"
    media_type = content_type.partition(";")[0].strip().lower()
    _refuse_charset(content_type)
    if media_type == _STRUCTURED:
        return *_structured(value), "{}"
    if media_type and media_type not in ("application/json", "text/json") and not _is_json(media_type):
        raise BadEvent("$", f"content-type: {media_type!r:.150} is neither JSON nor {_STRUCTURED}")
    return given, value, "ce_{}"


def _is_json(media_type: str) -> bool:
    return media_type.endswith("+json") and not media_type.startswith("application/cloudevents")


def _refuse_charset(content_type: str) -> None:
    match = _CHARSET.search(content_type) if ";" in content_type else None
    if match and match[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise BadEvent("$", f"content-type: the charset {match[1]!r:.60} is not utf-8")


def _structured(value: bytes) -> tuple[dict[str, str], bytes]:
    """The attributes and the data of an event in structured mode."""
    try:
        envelope = read(value)
    except ValueError as error:
        raise BadEvent("$", f"not JSON: {error!s:.200}") from None
    if not isinstance(envelope, dict):
        raise BadEvent("$", "a structured event must be an object")
    repeated: str | None = getattr(envelope, "repeated", None)
    if repeated is not None:
        raise BadEvent("$", f"{repeated:.60}: is there twice in the envelope")
    attributes: dict[str, str] = {}
    for name in ("id", "source", "type", "specversion", "time", "subject", "traceparent", "datacontenttype"):
        attribute = envelope.get(name)
        if attribute is None:
            continue
        if not isinstance(attribute, str):
            raise BadEvent("$", f"{name}: must be a string")
        attributes[f"ce_{name}"] = attribute
    media_type = attributes.pop("ce_datacontenttype", "application/json").partition(";")[0].strip().lower()
    if media_type not in ("application/json", "text/json") and not _is_json(media_type):
        raise BadEvent("$", f"datacontenttype: {media_type!r:.150} is not JSON")
    return attributes, _data_of(envelope)


def _data_of(envelope: Mapping[str, object]) -> bytes:
    encoded = envelope.get("data_base64")
    if encoded is None:
        if "data" not in envelope:
            raise BadEvent("$", "data: is missing")
        refuse_flaws(envelope["data"])
        return json.dumps(envelope["data"], ensure_ascii=False).encode()
    if envelope.get("data") is not None:
        raise BadEvent("$", "data: is there beside data_base64")
    if not isinstance(encoded, str):
        raise BadEvent("$", "data_base64: must be a string")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadEvent("$", "data_base64: is not Base64") from None


def _check_attributes(attributes: Mapping[str, str], name: str) -> str:
    """The type, after the four attributes that every event has. `name` spells an attribute as the sender did."""
    subject = attributes.get("ce_subject", "")
    type_ = attributes.get("ce_type", "")
    if (
        attributes.get("ce_specversion") == "1.0"
        and type_ in TYPES
        and _is_plain(attributes.get("ce_id", ""), ID_LENGTH)
        and _is_plain(attributes.get("ce_source", ""), SOURCE_LENGTH)
        and (not subject or _is_plain(subject, SOURCE_LENGTH))
    ):
        return type_
    flaws: list[tuple[str, str]] = []
    for attribute, most in (("specversion", 16), ("id", ID_LENGTH), ("source", SOURCE_LENGTH), ("type", ID_LENGTH)):
        text = attributes.get(f"ce_{attribute}")
        label = name.format(attribute)
        if text is None:
            flaws.append(("$", f"{label}: is missing"))
        elif not text.strip():
            flaws.append(("$", f"{label}: is blank"))
        elif len(text) > most:
            flaws.append(("$", f"{label}: has more than {most} characters"))
        elif _CONTROL.search(text):
            flaws.append(("$", f"{label}: holds a control character"))
    if not flaws and attributes["ce_specversion"] != "1.0":
        flaws.append(("$", f'{name.format("specversion")}: {attributes["ce_specversion"]!r} is not "1.0"'))
    if len(subject) > SOURCE_LENGTH or _CONTROL.search(subject):
        flaws.append(("$", f"{name.format('subject')}: is too long or holds a control character"))
    if flaws:
        raise BadEvent(*flaws[0], tuple(flaws))
    return type_


def _is_plain(text: str, most: int) -> bool:
    """Whether there is nothing to be said of an attribute: the short way, which most take."""
    return len(text) <= most and text.isascii() and text.isprintable() and text[:1] > " "


def _refuse_topic(type_: str, topic: str, label: str) -> NoReturn:
    if type_ not in TYPES:
        raise BadEvent("$", f"{label}: {type_!r:.150} is not a type of this contract")
    home = INPUT_TOPIC_OF.get(type_)
    where = f"it belongs on {home}" if home else "only the pipeline itself writes it"
    raise BadEvent("$", f"{label}: {type_} has no place on {topic}: {where}")


def _time(attributes: Mapping[str, str], name: str) -> datetime | None:
    text = attributes.get("ce_time")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text) if _USUAL_TIME.fullmatch(text) else normalise_instant(text)
    except ValueError:
        raise BadEvent("$", f"{name.format('time')}: {text!r:.60} is not an RFC 3339 instant with an offset") from None


def _traceparent(text: str) -> str:
    """W3C: one that does not parse is as good as none."""
    return text if text and len(text) <= ID_LENGTH and _TRACEPARENT.fullmatch(text) else ""
