"""A worked example of a policy in the reader's language: what is given, and what must come of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from markupsafe import Markup, escape

from services.console.web import formats
from services.console.web.phrases import Speaker
from services.console.web.policy_words import Spoken

_LABELS: Final = {
    "reason": "claim.reason",
    "reported": "example.reported",
    "wants": "claim.wants",
    "quantity": "example.quantity",
    "order.quantity": "ledger.quantity",
    "order.unit_price": "ledger.unit_price",
    "order.discount": "ledger.discounts",
    "order.shipping": "ledger.shipping",
    "order.collect": "example.collect",
    "order.transaction_fee": "item.transaction_fee",
    "order.carrier": "member.carrier",
    "order.gift": "policy_word.gift",
    "order.category": "member.category",
    "order.sealed": "member.sealed",
    "answers.answer": "seller.answer",
    "answers.amount": "claim.amount",
    "returned": "example.returned",
    "returned.inspection": "example.returned",
    "returned.quantity": "example.returned",
    "returned.fault": "factname.fault",
    "returned.postage": "item.return_postage",
    "status": "claim.state",
    "awaiting": "says.awaiting",
    "remedy": "claim.outcome",
    "clause": "claim.clause",
    "entry": "says.entry",
    "refers": "example.refers",
    "ship_payer": "example.ship_payer",
}
"""Member of an example → the page's words for it."""
_AMOUNTS: Final = frozenset({"unit_price", "discount", "shipping", "transaction_fee", "postage", "amount"})
_CODES: Final = {
    "reason": "reason",
    "wants": "wants",
    "answer": "answer",
    "status": "status",
    "awaiting": "awaiting",
    "remedy": "outcome",
    "ship_payer": "payer",
    "fault": "fact.fault",
    "carton": "fact.carton",
    "seal": "fact.seal",
    "category": "policy_word",
}
_PLACE: Final = re.compile(r"\.\d+(?=\.)")
_STEPS: Final = (86_400_000, 3_600_000, 60_000, 1000)


def worked(
    pairs: Mapping[str, str], speaker: Speaker, spoken: Spoken, currency: str
) -> Iterator[tuple[Markup, Markup]]:
    """The members of an example (`facts.carton` → `torn`), each as its name and its value in words."""
    for path, value in pairs.items():
        member = _PLACE.sub("", path)
        if member == "status" and "awaiting" in pairs:  # what it waits for says so
            continue
        if member == "reported" and value.startswith("-"):
            yield speaker.wording("example.reported_before"), _bdi(_span(value.removeprefix("-"), speaker.language))
            continue
        yield _label(member, speaker), _value(member, value, speaker, spoken, currency)


def _label(member: str, speaker: Speaker) -> Markup:
    say, (first, _, rest) = speaker.wording, member.partition(".")
    if first == "breakdown":
        return escape(say.code("item", rest))
    if first == "facts":
        return say("example.stated", fact=say.code("policy_word", rest))
    if member.startswith("returned.inspection."):
        return say("example.found", fact=say.code("policy_word", member.rpartition(".")[2]))
    return say(_LABELS[member]) if member in _LABELS else Markup("<code>{}</code>").format(member)


def _value(member: str, value: str, speaker: Speaker, spoken: Spoken, currency: str) -> Markup:  # noqa: PLR0911 - an arm for each kind
    say, language = speaker.wording, speaker.language
    first, _, leaf = member.rpartition(".")
    if value == "":  # the whole return, with nothing said of it
        return say("example.all")
    if leaf in _AMOUNTS or first == "breakdown":
        return _bdi(formats.amount_of(value, currency, language))
    if value in ("true", "false"):
        return say("yesno.yes" if value == "true" else "yesno.no")
    if leaf in _CODES:
        return _bdi(say.code(_CODES[leaf], value))
    if leaf in ("entry", "refers"):
        return spoken.point(value)
    if leaf == "clause":
        return Markup("<code>{}</code>").format(value)
    if leaf == "reported":
        return _bdi(_span(value, language))
    return _bdi(formats.digits(value, language) if value.isdecimal() else value)


def _span(written: str, language: str) -> str:
    """`48h 1s` as a duration."""
    steps = dict(zip("dhms", _STEPS, strict=True))
    return " ".join(formats.duration(int(part[:-1]) * steps[part[-1]], language) for part in written.split())


def _bdi(text: str) -> Markup:
    return Markup(f"<bdi>{escape(text)}</bdi>")  # noqa: S704 - escaped
