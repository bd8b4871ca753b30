"""Topics, and which types live on which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ORDERS: Final = "orders.v1"
CLAIMS: Final = "claims.v1"
SELLERS: Final = "sellers.v1"
RETURNS: Final = "returns.v1"
REVIEWS: Final = "reviews.v1"
PAYMENTS: Final = "payments.v1"
ADMISSIONS: Final = "admissions.v1"
CONTACTS: Final = "contacts.v1"
ASSESSMENTS: Final = "assessments.v1"
DECISIONS: Final = "decisions.v1"
REFUNDS: Final = "refunds.v1"
NOTIFICATIONS: Final = "notifications.v1"

TYPES_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        ORDERS: ("order.placed.v1", "order.delivered.v1", "order.cancelled.v1"),
        CLAIMS: ("claim.submitted.v1", "claim.cancelled.v1"),
        SELLERS: ("seller.answered.v1",),
        RETURNS: ("return.shipped.v1", "return.received.v1"),
        REVIEWS: ("claim.reviewed.v1",),
        PAYMENTS: ("refund.settled.v1",),
        ADMISSIONS: (
            "claim.admitted.v1",
            "claim.refused.v1",
            "claim.parked.v1",
            "claim.cancelled.v1",
            "order.delivered.v1",
            "order.cancelled.v1",
            "seller.answered.v1",
            "return.shipped.v1",
            "return.received.v1",
            "claim.reviewed.v1",
            "refund.settled.v1",
        ),
        CONTACTS: ("customer.contact.v1",),
        ASSESSMENTS: ("claim.assessed.v1",),
        DECISIONS: ("claim.decided.v1", "claim.referred.v1", "review.refused.v1", "claim.settled.v1"),
        REFUNDS: ("refund.instructed.v1",),
        NOTIFICATIONS: ("notification.sent.v1", "notification.failed.v1"),
    }
)
"""Topic → the types that may be on it."""

INPUT_TOPICS: Final = (ORDERS, CLAIMS, SELLERS, RETURNS, REVIEWS, PAYMENTS)
OUTPUT_TOPICS: Final = (ADMISSIONS, CONTACTS, ASSESSMENTS, DECISIONS, REFUNDS, NOTIFICATIONS)
TOPICS: Final = INPUT_TOPICS + OUTPUT_TOPICS

INPUT_TOPIC_OF: Final[Mapping[str, str]] = MappingProxyType(
    {type_: topic for topic in INPUT_TOPICS for type_ in TYPES_OF[topic]}
)
"""Input type → the one topic it comes in on."""

READERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "intake": (*INPUT_TOPICS, DECISIONS),
        "eligibility": (ADMISSIONS, DECISIONS),
        "refund-calculation": (ADMISSIONS, ASSESSMENTS),
        "notification": (ADMISSIONS, CONTACTS, ASSESSMENTS, DECISIONS),
    }
)
"""Service → the topics it reads."""

WRITERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "intake": (ADMISSIONS, CONTACTS),
        "eligibility": (ASSESSMENTS,),
        "refund-calculation": (DECISIONS, REFUNDS),
        "notification": (NOTIFICATIONS,),
    }
)
"""Service → the topics that it alone writes, dead letters aside."""


def dlq_topic(topic: str, service: str) -> str:
    """The dead-letter topic of `service` for records of `topic`."""
    return f"{topic}.{service}.dlq"


def dlq_topics() -> tuple[str, ...]:
    """Every dead-letter topic there is."""
    return tuple(dlq_topic(topic, service) for service, topics in READERS.items() for topic in topics)
