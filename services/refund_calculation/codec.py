"""An order's state as MessagePack and back. What is written here is read by nobody else."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from services.refund_calculation.state import NOTHING, Claim, Decision, Early, Order, Payment
from shared.ledger import Ledger


class _Claim(Struct, frozen=True, array_like=True, gc=False):
    """A `Claim`, its unit numbers as first and last of each run: 10,000 units are one pair."""

    claim_id: str
    reason: str
    units: Mapping[str, Sequence[int]]
    parts: Mapping[str, str]
    revision: int
    assessment: bytes
    answer: str | None
    held: tuple[str, ...]
    decisions: tuple[Decision, ...]
    returns: tuple[str, ...]
    reviews: tuple[str, ...]


class _Order(Struct, frozen=True, array_like=True, gc=False):
    """An `Order` without its merchant and order id, which are the row's key."""

    ledger: Ledger | None
    carrier: str
    rate: tuple[str, str] | None
    payments: tuple[Payment, ...]
    claims: Sequence[_Claim]
    early: Mapping[str, tuple[Early, ...]]


def _plain(mapping: object) -> object:
    if mapping is NOTHING:
        return {}
    raise TypeError(f"{type(mapping).__name__} is no part of an order's state")


_encoder: Final = Encoder(enc_hook=_plain)
_decoder: Final = Decoder(_Order)


def encode(order: Order) -> bytes:
    """The state without its merchant and order id."""
    claims = [
        _Claim(
            claim.claim_id,
            claim.reason,
            {line_id: _spans(numbers) for line_id, numbers in claim.units.items()},
            claim.parts,
            claim.revision,
            claim.assessment,
            claim.answer,
            claim.held,
            claim.decisions,
            claim.returns,
            claim.reviews,
        )
        for claim in order.claims.values()
    ]
    return _encoder.encode(_Order(order.ledger, order.carrier, order.rate, order.payments, claims, order.early))


def decode(merchant: str, order_id: str, state: bytes) -> Order:
    """The state that `encode` wrote."""
    form = _decoder.decode(state)
    claims = {
        claim.claim_id: Claim(
            claim.claim_id,
            claim.reason,
            {line_id: _numbers(spans) for line_id, spans in claim.units.items()},
            claim.parts,
            claim.revision,
            claim.assessment,
            claim.answer,
            claim.held,
            claim.decisions,
            claim.returns,
            claim.reviews,
        )
        for claim in form.claims
    }
    return Order(merchant, order_id, form.ledger, form.carrier, form.rate, form.payments, claims, form.early)


def _spans(numbers: Sequence[int]) -> list[int]:
    """Ascending unit numbers as first and last of each run, one after the other."""
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        return [numbers[0], numbers[-1]]
    spans: list[int] = []
    for number in numbers:
        if spans and spans[-1] == number - 1:
            spans[-1] = number
        else:
            spans += (number, number)
    return spans


def _numbers(spans: Sequence[int]) -> tuple[int, ...]:
    if len(spans) == 2:
        return tuple(range(spans[0], spans[1] + 1))
    runs = zip(spans[::2], spans[1::2], strict=True)
    return tuple(number for first, last in runs for number in range(first, last + 1))
