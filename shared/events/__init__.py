"""The event contract: a strict model per type, reading and writing of data. Interface: docs/contract.md."""

from typing import Final, TypeVar

from pydantic import ValidationError

from shared.events.basis import Basis
from shared.events.explain import bad_event
from shared.events.failure import BadEvent
from shared.events.inputs import (
    ClaimCancelled,
    ClaimReviewed,
    ClaimSubmitted,
    RefundSettled,
    ReturnReceived,
    ReturnShipped,
    SellerAnswered,
)
from shared.events.model import Event, Part
from shared.events.orders import CustomerContact, Order, OrderCancelled, OrderDelivered, OrderPlaced
from shared.events.outputs import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimParked,
    ClaimReferred,
    ClaimRefused,
    ClaimSettled,
    NotificationFailed,
    NotificationSent,
    RefundInstructed,
    ReviewRefused,
)
from shared.events.parts import (
    Alternative,
    AssessedLine,
    BreakdownItem,
    ClaimLine,
    ClaimRefusal,
    Customer,
    Evidence,
    Exchange,
    Facts,
    Inspection,
    LineQuantity,
    Money,
    OrderCustomer,
    OrderLine,
    Payment,
    PolicyRef,
    Postage,
    ReadingShown,
    Reason,
    Refund,
    RefundPayment,
    Replacement,
    ReplacementLine,
    ReviewRefusal,
    Seller,
    ShipCost,
    Shipping,
)

TYPES: Final[dict[str, type[Event]]] = {
    model.type: model
    for model in (
        OrderPlaced,
        OrderDelivered,
        OrderCancelled,
        ClaimSubmitted,
        ClaimCancelled,
        SellerAnswered,
        ReturnShipped,
        ReturnReceived,
        ClaimReviewed,
        RefundSettled,
        ClaimAdmitted,
        ClaimRefused,
        ClaimParked,
        CustomerContact,
        ClaimAssessed,
        ClaimDecided,
        ClaimReferred,
        ReviewRefused,
        ClaimSettled,
        RefundInstructed,
        NotificationSent,
        NotificationFailed,
    )
}
"""CloudEvents type → its model."""

Model = TypeVar("Model", bound=Event)


def parse(model: type[Model], value: bytes) -> Model:
    """The data of an event of a known model. Raises `BadEvent`."""
    try:
        return model.__pydantic_validator__.validate_json(value)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise bad_event(error, value) from None


def parse_data(type: str, value: bytes) -> Event:
    """The data of an event, by its CloudEvents type. Raises `BadEvent`, also for a type that is not in the contract."""
    model = TYPES.get(type)
    if model is None:
        raise BadEvent("$", f"ce_type: {type!r:.150} is not a type of this contract")
    return parse(model, value)


def dump(event: Part) -> bytes:
    """An event, or a part of one, as JSON."""
    return event.__pydantic_serializer__.to_json(event)


__all__ = [
    "TYPES",
    "Alternative",
    "AssessedLine",
    "BadEvent",
    "Basis",
    "BreakdownItem",
    "ClaimAdmitted",
    "ClaimAssessed",
    "ClaimCancelled",
    "ClaimDecided",
    "ClaimLine",
    "ClaimParked",
    "ClaimReferred",
    "ClaimRefusal",
    "ClaimRefused",
    "ClaimReviewed",
    "ClaimSettled",
    "ClaimSubmitted",
    "Customer",
    "CustomerContact",
    "Event",
    "Evidence",
    "Exchange",
    "Facts",
    "Inspection",
    "LineQuantity",
    "Model",
    "Money",
    "NotificationFailed",
    "NotificationSent",
    "Order",
    "OrderCancelled",
    "OrderCustomer",
    "OrderDelivered",
    "OrderLine",
    "OrderPlaced",
    "Part",
    "Payment",
    "PolicyRef",
    "Postage",
    "ReadingShown",
    "Reason",
    "Refund",
    "RefundInstructed",
    "RefundPayment",
    "RefundSettled",
    "Replacement",
    "ReplacementLine",
    "ReturnReceived",
    "ReturnShipped",
    "ReviewRefusal",
    "ReviewRefused",
    "Seller",
    "SellerAnswered",
    "ShipCost",
    "Shipping",
    "dump",
    "parse",
    "parse_data",
]
