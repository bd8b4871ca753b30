"""What an event says, in a few words for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cli.reading import Seen
from cli.words import amount, clean

Data = Mapping[str, Any]

_REOPENING = frozenset({"later-answer", "settlement-failed"})
"""Rules under which eligibility speaks again of a claim that a person has decided."""


def told(one: Seen) -> str:
    """The gist of an event; of a dead letter, why and where it lies."""
    if "dlq_reason" in one.headers:
        path, reason = one.header("dlq_path"), one.header("dlq_reason")
        return "✗ " + clean(reason if reason.startswith(path) else f"{path}: {reason}", 200)
    if one.data is None:
        return "not a JSON object"
    teller = _TELLERS.get(one.type)
    try:
        return clean_join(teller(one.data)) if teller else ""
    except (KeyError, TypeError, AttributeError, IndexError):
        return "not as the contract has it"


def clean_join(parts: list[str]) -> str:
    """The parts that say something, with dots between."""
    return " · ".join(part for part in parts if part)


def money(data: Any) -> str:
    """A money object."""
    return amount(data["amount"], data["currency"]) if data else ""


def clauses(data: Data) -> list[str]:
    """The clauses that lines and breakdown cite, in their order, each once."""
    cited = [reason.get("clause") for line in data.get("lines") or () for reason in line.get("reasons") or ()]
    refund = data.get("refund") or {}
    cited += [item.get("clause") for item in refund.get("breakdown") or ()]
    return [clean(clause) for clause in dict.fromkeys(cited) if clause]


def telling(data: Data) -> list[str]:
    """The clauses that decided: of a rejection those that deny; otherwise those of the money, then those that allow."""
    reasons = [reason for line in data.get("lines") or () for reason in line.get("reasons") or ()]
    denied = [reason["clause"] for reason in reasons if reason["effect"] == "deny"]
    if data.get("outcome") in ("rejected", "cancelled"):
        cited = denied
    else:
        items = (data.get("refund") or {}).get("breakdown") or ()
        cited = [item["clause"] for item in items]
        cited += [reason["clause"] for reason in reasons if reason["effect"] in ("allow", "refer")]
    return [clean(clause) for clause in dict.fromkeys(cited) if clause]


def lines_of(data: Data) -> str:
    """Lines and quantities: `1×2 3×1`."""
    return " ".join(f"{clean(line['line_id'])}×{line['quantity']}" for line in data.get("lines") or ())


def readings_of(data: Data) -> str:
    """The open points whose reading nobody has chosen."""
    open_ = [clean(reading["entry"]) for reading in data.get("readings") or () if reading.get("chosen") is None]
    return f"readings {', '.join(open_)}" if open_ else ""


def refund_of(data: Data) -> str:
    """The refund of a decision with its breakdown."""
    refund = data.get("refund")
    if not refund:
        return ""
    items = ", ".join(f"{item['item']} {amount(item['amount'], '')}" for item in refund["breakdown"])
    return f"{money(refund)} ({items})" if items else money(refund)


def is_stale(assessed: Data, decided: Data | None) -> bool:
    """Whether an assessment that was written after a decision tells of what was before it: eligibility and
    refund-calculation write side by side, so that a cancellation or a review may close a claim first."""
    if decided is None:
        return False
    if decided["outcome"] == "cancelled":
        return True
    if decided["decided_by"] != "policy" and not any(
        reason["rule"] in _REOPENING for line in assessed["lines"] for reason in line["reasons"]
    ):
        return True
    return datetime.fromisoformat(assessed["since"]) <= datetime.fromisoformat(decided["decided_at"])


def _placed(data: Data) -> list[str]:
    count = len(data["lines"])
    goods = f"{count} line{'s' if count > 1 else ''}"
    paid = ", ".join(amount(payment["amount"], data["currency"]) for payment in data["payments"])
    return [clean(data["merchant"]), goods, f"paid {paid}"]


def _claim(data: Data) -> list[str]:
    return [clean(data["reason"]), f"wants {clean(data['wants'])}" if data.get("wants") else "", lines_of(data)]


def _assessed(data: Data) -> list[str]:
    status = data["status"] if data["status"] != "awaiting" else f"awaiting {data['awaiting']}"
    due = f"due {clean(data['due'])}" if data.get("due") else ""
    return [clean(status), "OVERDUE" if data.get("overdue") else "", due, " ".join(clauses(data)), readings_of(data)]


def _decided(data: Data) -> list[str]:
    return [
        f"no {data['decision_no']}",
        clean(data["outcome"]),
        refund_of(data),
        f"shipping on {data['replacement']['ship_cost']['payer']}" if data.get("replacement") else "",
        " ".join(telling(data)),
        f"by {clean(data['decided_by'])}",
    ]


def _returned(data: Data) -> list[str]:
    found = [f"{name} {value}" for name, value in (data.get("inspection") or {}).items() if value is not None]
    postage = data.get("postage")
    return [
        lines_of(data),
        clean(", ".join(found)),
        f"fault {clean(data['fault'])}" if data.get("fault") else "",
        f"postage {amount(postage['amount'], '')} paid by {clean(postage['paid_by'])}" if postage else "",
    ]


def _errors(data: Data) -> list[str]:
    return [clean(f"{error['code']}: {error['message']}") for error in data["errors"]]


def _instructed(data: Data) -> list[str]:
    paid = ", ".join(
        f"{amount(payment['amount'], '')} to {clean(payment['payment_id'] or 'no payment')}"
        for payment in data["payments"]
    )
    return [money(data), paid, clean(data["refund_id"])]


def _notified(data: Data) -> list[str]:
    told_by = f"{clean(data['template'])} in {clean(data['locale'])} by {clean(data['channel'])}"
    return [told_by, clean(data.get("reason") or "")]


def _reviewed(data: Data) -> list[str]:
    return [clean(data["verdict"]), money(data.get("amount")), f"by {clean(data['actor'])}", clean(data["reason"], 120)]


def _settled(data: Data) -> list[str]:
    return [clean(data["status"]), clean(data["refund_id"]), clean(data.get("failure_reason") or "")]


_TELLERS: dict[str, Callable[[Data], list[str]]] = {
    "order.placed.v1": _placed,
    "order.delivered.v1": lambda data: [f"received {clean(data['received_at'])}"],
    "order.cancelled.v1": lambda data: [f"cancelled {clean(data['cancelled_at'])}"],
    "claim.submitted.v1": lambda data: [*_claim(data), f"reported {clean(data['reported_at'])}"],
    "claim.cancelled.v1": lambda data: [f"by {clean(data['by'])}"],
    "seller.answered.v1": lambda data: [clean(data["answer"]), money(data.get("amount"))],
    "return.shipped.v1": lambda data: [clean(data.get("tracking") or "")],
    "return.received.v1": _returned,
    "claim.reviewed.v1": _reviewed,
    "refund.settled.v1": _settled,
    "claim.admitted.v1": lambda data: _claim(data["claim"]),
    "claim.refused.v1": _errors,
    "claim.parked.v1": lambda data: [f"waits for the {clean(data['waiting_for'])}", f"until {clean(data['until'])}"],
    "customer.contact.v1": lambda data: [f"customer {clean(data['customer_id'])}"],
    "claim.assessed.v1": _assessed,
    "claim.decided.v1": _decided,
    "claim.referred.v1": lambda data: [clean(data["entry"]), readings_of(data)],
    "review.refused.v1": _errors,
    "claim.settled.v1": _settled,
    "refund.instructed.v1": _instructed,
    "notification.sent.v1": _notified,
    "notification.failed.v1": _notified,
}
