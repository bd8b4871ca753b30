"""The letters, paragraph by paragraph; every word comes from the catalog or from the merchant's policy. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from services.notification.formats import amount, isolate, moment, number, plain
from services.notification.reading import (
    AssessedLine,
    BreakdownItem,
    ClaimAssessed,
    ClaimDecided,
    ClaimRefused,
    ClaimSettled,
    Occasion,
    Reason,
    Refund,
    ReplacementLine,
    View,
)
from services.notification.wording import Catalog, Merchant

_TITLE_LENGTH = 120
_NAME_LENGTH = 100
_BULLET = "- "
_UNDER = "  "


class Sheet(View, frozen=True):
    """What letters say of a claim beyond the event that calls for them: titles and parts by line id."""

    reason: str
    reported_at: datetime
    locale: str | None
    titles: dict[str, str]
    parts: dict[str, str]


class Letter(NamedTuple):
    """One plain-text message; `body` ends with a line break."""

    subject: str
    body: str
    language: str


class Desk(NamedTuple):
    """What a letter is written with. `clauses`: clause number → wording by language, of the policy that governs;
    `sheet` is None where the claim's admission is not known."""

    catalog: Catalog
    merchant: Merchant
    customer: str | None = None
    sheet: Sheet | None = None
    clauses: Mapping[str, Mapping[str, str]] = MappingProxyType({})

    @property
    def language(self) -> str:
        return self.catalog.language

    @property
    def signed(self) -> str:
        """The merchant's name."""
        return self.merchant.name(self.language)

    @property
    def say(self) -> Callable[..., str]:
        """As `Catalog.say`; a letter says a dozen sentences."""
        return self.catalog.say

    def at(self, instant: datetime) -> str:
        return moment(instant, self.merchant.zone, self.language)

    def wording(self, reason: Reason) -> str:
        """A reason's clause in the customer's language, else in English, else as the decision words it."""
        return self.clause(reason.clause) or isolate(plain(reason.text), self.language)

    def clause(self, number: str | None) -> str:
        """A clause's wording with its number; empty where the policy is not at hand. A clause that is called by a word
        (`Lines`) is not named: that word is nothing to a customer."""
        texts = self.clauses.get(number or "", {})
        wording = (texts.get(self.language) or texts.get("en") or "").rstrip(". ")
        if not wording or not number:
            return ""
        if number.isupper() or any(sign.isdigit() for sign in number):
            return self.say("reason.clause", wording=wording, clause=number)
        return isolate(plain(wording), self.language)

    def item(self, line_id: str, quantity: int, part: str | None = None) -> str:
        """`2 × Smart watch`, with the part where one is claimed."""
        count = number(quantity, self.language)
        title = plain(self.sheet.titles.get(line_id, "") if self.sheet else "", _TITLE_LENGTH)
        part = part or (self.sheet.parts.get(line_id) if self.sheet else None)
        if not title:
            return self.say("item.untitled", quantity=count, line=line_id)
        if part:
            return self.say("item.part", quantity=count, title=title, part=plain(part, _TITLE_LENGTH))
        return self.say("item.titled", quantity=count, title=title)

    def letter(self, event: Occasion, subject: str, body: Iterable[str]) -> Letter:
        """Greeting, what it is about, the paragraphs, and the close."""
        name = plain(self.customer or "", _NAME_LENGTH)
        paragraphs = [
            self.say("greeting.named", name=name) if name else self.say("greeting.unnamed"),
            self.say("reference.claim", claim=event.claim_id)
            + "\n"
            + self.say("reference.order", order=event.order_id),
            *body,
            self.say("closing.help", merchant=self.signed),
            self.say("closing.sign", merchant=self.signed),
        ]
        text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"
        return Letter(self.catalog.direct(subject), self.catalog.direct(text), self.language)


def refused(desk: Desk, event: ClaimRefused) -> Letter:
    """The claim was not taken up, with every reason, each one said once."""
    codes = dict.fromkeys(error.code for error in event.errors)
    sentences = [_refusal(desk, code, event.order_id) for code in codes]
    return desk.letter(
        event,
        desk.say("refused.subject", claim=event.claim_id),
        [_listed(desk.say("refused.intro", claim=event.claim_id, order=event.order_id), sentences)],
    )


def awaiting(desk: Desk, event: ClaimAssessed) -> Letter:
    """What the claim waits for, and what the customer should do, if anything."""
    match event.awaiting:
        case "return":
            return _awaiting_return(desk, event)
        case "delivery":
            body = [desk.say("awaiting_delivery.intro", order=event.order_id)]
            if reported_at := _reported_at(desk, event):
                body.append(desk.say("awaiting_delivery.reported", reported=desk.at(reported_at)))
            body.append(desk.say("awaiting_delivery.next"))
            return desk.letter(event, desk.say("awaiting_delivery.subject", claim=event.claim_id), body)
        case "seller":
            due = desk.say("received.seller_due", due=desk.at(event.due)) if event.due else ""
            body = [_sentences(desk.say("received.seller"), due), desk.say("received.nothing_to_do")]
        case _:
            body = [desk.say("received.review"), desk.say("received.nothing_to_do")]
    return desk.letter(event, desk.say("received.subject", claim=event.claim_id), body)


def decided(desk: Desk, event: ClaimDecided) -> Letter:
    """The decision: what is paid, what is sent, what is not accepted and why."""
    further = event.follows is not None
    lead = [desk.say("decided.follows") if further else ""]
    match event.outcome:
        case "refund":
            subject, body = _refund(desk, event, further)
        case "replacement":
            subject = desk.say("decided.subject_replacement", claim=event.claim_id)
            body = _replacement(desk, event)
        case "rejected":
            subject = desk.say("decided.subject_decision", claim=event.claim_id)
            body = [
                desk.say("decided.rejected"),
                *_rejection(desk, event),
                desk.say("decided.disagree", merchant=desk.signed),
            ]
        case "cancelled":
            subject = desk.say("decided.subject_cancelled", claim=event.claim_id)
            body = [desk.say("decided.cancelled"), desk.say("decided.cancelled_mistake", merchant=desk.signed)]
    return desk.letter(event, subject, [*lead, *body])


def refund_delayed(desk: Desk, event: ClaimSettled) -> Letter:
    """A refund that was promised could not be paid; staff see to it."""
    return desk.letter(
        event,
        desk.say("refund_delayed.subject", claim=event.claim_id),
        [desk.say("refund_delayed.intro"), desk.say("refund_delayed.account", merchant=desk.signed)],
    )


def _awaiting_return(desk: Desk, event: ClaimAssessed) -> Letter:
    reason = event.basis.reason if event.basis else desk.sheet.reason if desk.sheet else ""
    items = [desk.item(line.line_id, line.quantity) for line in event.lines if line.verdict != "rejected"]
    if reason == "refused_damaged":  # G3.1: the carrier brings it back, the customer does not have it
        body = [
            desk.say("awaiting_return.parcel"),
            _listed(desk.say("awaiting_return.parcel_items"), items),
            desk.say("awaiting_return.next"),
        ]
        return desk.letter(event, desk.say("awaiting_return.subject_parcel", claim=event.claim_id), body)
    how = ("carton", "no_writing", "as_is", "note", "receipt")
    body = [
        desk.say("awaiting_return.intro"),
        desk.say("awaiting_return.authorization", authorization=event.authorization) if event.authorization else "",
        _listed(desk.say("awaiting_return.items"), items),
        _listed(desk.say("awaiting_return.how"), [desk.say(f"awaiting_return.{step}") for step in how]),
        _sentences(
            desk.say("awaiting_return.due", due=desk.at(event.due)) if event.due else "",
            desk.say("awaiting_return.address", merchant=desk.signed),
        ),
        desk.say("awaiting_return.next"),
    ]
    return desk.letter(event, desk.say("awaiting_return.subject", claim=event.claim_id), body)


def _refund(desk: Desk, event: ClaimDecided, further: bool) -> tuple[str, list[str]]:
    accepted = _listed(desk.say("decided.accepted"), _items(desk, event, "eligible"))
    tail = [_by_staff(desk, event), *_partly_rejected(desk, event)]
    if event.refund is None or not event.refund.refund_id:
        subject = desk.say("decided.subject_decision", claim=event.claim_id)
        money = [desk.say("decided.nothing"), _breakdown(desk, event)] if event.refund else []
        return subject, [accepted, *money, *tail]
    figure = amount(event.refund.amount, event.refund.currency, desk.language)
    kind = "refund_more" if further else "refund"
    subject = desk.say(f"decided.subject_{kind}", claim=event.claim_id, amount=figure)
    money = [desk.say(f"decided.{kind}", amount=figure), _breakdown(desk, event), _paid_back(desk, event.refund)]
    return subject, [accepted, *money, *tail]


def _replacement(desk: Desk, event: ClaimDecided) -> list[str]:
    body = []
    if event.replacement is not None:
        body.append(
            _listed(desk.say("decided.replacement"), [_replaced(desk, line) for line in event.replacement.lines])
        )
        body.append(desk.say(f"decided.ship_{event.replacement.ship_cost.payer}"))
    if event.refund is not None and event.refund.refund_id:
        figure = amount(event.refund.amount, event.refund.currency, desk.language)
        body.append(desk.say("decided.replacement_refund", amount=figure))
        body.extend((_breakdown(desk, event), _paid_back(desk, event.refund)))
    return [*body, _by_staff(desk, event), *_partly_rejected(desk, event)]


def _replaced(desk: Desk, line: ReplacementLine) -> str:
    return desk.item(line.line_id, line.quantity, line.part)


def _rejection(desk: Desk, event: ClaimDecided) -> list[str]:
    """Which lines, and why: once for all where the reasons are the same."""
    by_line = [(desk.item(line.line_id, line.quantity), _reasons(desk, line)) for line in event.lines]
    if len({tuple(reasons) for _, reasons in by_line}) <= 1:
        common = by_line[0][1] if by_line else []
        return [
            _listed(desk.say("decided.rejected_lines"), [item for item, _ in by_line]),
            _listed(desk.say("decided.reasons"), common) if common else "",
            _by_staff(desk, event),
        ]
    return [_explained(desk, by_line), _by_staff(desk, event)]


def _partly_rejected(desk: Desk, event: ClaimDecided) -> list[str]:
    """The lines of an accepted claim that were not accepted, each with its reasons."""
    by_line = [
        (desk.item(line.line_id, line.quantity), _reasons(desk, line))
        for line in event.lines
        if line.verdict == "rejected"
    ]
    return [_explained(desk, by_line), desk.say("decided.disagree", merchant=desk.signed)] if by_line else []


def _explained(desk: Desk, by_line: Sequence[tuple[str, Sequence[str]]]) -> str:
    return "\n".join(
        [
            desk.say("decided.rejected_lines"),
            *(text for item, reasons in by_line for text in (_BULLET + item, *(_UNDER + reason for reason in reasons))),
        ]
    )


def _reasons(desk: Desk, line: AssessedLine) -> list[str]:
    """The clauses that speak against a line, in the customer's language. What staff wrote is not told."""
    return list(
        dict.fromkeys(desk.wording(reason) for reason in line.reasons if reason.effect == "deny" and reason.clause)
    )


def _by_staff(desk: Desk, event: ClaimDecided) -> str:
    return desk.say("decided.by_staff") if event.decided_by != "policy" else ""


def _breakdown(desk: Desk, event: ClaimDecided) -> str:
    """The amount's parts and their sum; of a later decision they are differences, and some go down."""
    refund = event.refund
    if refund is None or not refund.breakdown:
        return ""
    lead = "decided.breakdown" if event.follows is None else "decided.breakdown_more"
    lines = [desk.say(lead), *(_entry(desk, entry, refund.currency) for entry in refund.breakdown)]
    if len(refund.breakdown) > 1:
        lines.append(desk.say("decided.total", amount=amount(refund.amount, refund.currency, desk.language)))
    return "\n".join(lines)


def _entry(desk: Desk, entry: BreakdownItem, currency: str) -> str:
    """One entry of the breakdown; what is kept back says by which clause."""
    kept_back = entry.amount.startswith("-")
    text = _BULLET + desk.say(
        "decided.less" if kept_back else "decided.plus",
        item=desk.say(f"breakdown.{entry.item}"),
        amount=amount(entry.amount, currency, desk.language),
    )
    why = desk.clause(entry.clause) if kept_back else ""
    return f"{text}\n{_UNDER}{why}" if why else text


def _paid_back(desk: Desk, refund: Refund) -> str:
    """Postage can go beyond the order's payments, so with postage the way back is not promised."""
    postage = any(entry.item == "return_postage" for entry in refund.breakdown)
    return desk.say("decided.ordered" if postage else "decided.paid_back")


def _items(desk: Desk, event: ClaimDecided, verdict: str) -> list[str]:
    return [desk.item(line.line_id, line.quantity) for line in event.lines if line.verdict == verdict]


def _refusal(desk: Desk, code: str, order_id: str) -> str:
    values = {"order": order_id} if code == "unknown_order" else {}
    return desk.say(f"refused.{code}" if desk.catalog.has(f"refused.{code}") else "refused.other", **values)


def _reported_at(desk: Desk, event: ClaimAssessed) -> datetime | None:
    return event.basis.reported_at if event.basis else desk.sheet.reported_at if desk.sheet else None


def _listed(lead: str, entries: Sequence[str]) -> str:
    """A sentence and its list; nothing where there is nothing to list."""
    return "\n".join([lead, *(_BULLET + entry for entry in entries)]) if entries else ""


def _sentences(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
