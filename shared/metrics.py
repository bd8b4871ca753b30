"""Every metric of the pipeline, in one place; docs/operations.md lists them from here.

No ids in labels: a claim is found in the topics, the console and the traces. What happens in a batch is added once the
batch is committed, in one step for all of its records; what lies in a database is read out every few seconds
(`shared.readout`), by the process that owns the lanes, so that sums over replicas are right.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Protocol

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3600, 86400)


class Countable(Hashable, Protocol):
    """A counter with labels."""

    def labels(self, *values: str) -> "Adding":
        """The counter of these label values."""


class Adding(Protocol):
    """What is added to."""

    def inc(self, amount: float = 1) -> None:
        """Add."""


class Total(Collector):
    """A counter that is kept elsewhere (in a database): what it shows is set, not added to."""

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str]) -> None:
        self.name = name
        self.documentation = documentation
        self.labelnames = tuple(labelnames)
        self._values: dict[tuple[str, ...], float] = {}
        REGISTRY.register(self)

    def show(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Take the values by label values; those left out are no longer shown."""
        self._values = dict(values)

    def describe(self) -> list[CounterMetricFamily]:
        """The metric without values."""
        return [CounterMetricFamily(self.name, self.documentation, labels=self.labelnames)]

    def collect(self) -> list[CounterMetricFamily]:
        """The metric with its values."""
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labelnames)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return [family]


# What the delivery kit counts, in every service.
EVENTS = Counter(
    "makegood_events_total",
    "Records and events by what became of them: consumed, repeated, duplicate, dead_letter, emitted, "
    "and the service's own outcomes.",
    ["service", "outcome"],
)
BATCH_RECORDS = Histogram(
    "makegood_batch_records",
    "Records in one batch, that is in one transaction.",
    ["service"],
    buckets=(1, 3, 10, 30, 100, 300, 1000, 3000),
)
TRANSACTION_SECONDS = Histogram(
    "makegood_transaction_seconds",
    "Time of one batch, from taking the lanes' locks to the end of the commit.",
    ["service"],
    buckets=_SECONDS,
)
EVENT_AGE_SECONDS = Histogram(
    "makegood_event_age_seconds",
    "Age of the oldest record of a batch when it was taken up, by its Kafka timestamp.",
    ["service"],
    buckets=_AGES,
)
RETRIES = Counter("makegood_retries_total", "Batches tried again after an infrastructure error.", ["service"])
PUBLISHED = Counter(
    "makegood_published_events_total", "Events that Kafka has acknowledged, dead letters among them.", ["service"]
)
PUBLISH_SECONDS = Histogram(
    "makegood_publish_seconds",
    "Time of one round of the relay, from building the record batches to the last acknowledgement.",
    ["service"],
    buckets=_SECONDS,
)
RELAY_FAILURES = Counter(
    "makegood_relay_failures_total", "Rounds of the relay that failed and are published again.", ["service"]
)
LAG_RECORDS = Gauge(
    "makegood_lag_records",
    "Records of an input topic that are not processed yet, over the lanes owned.",
    ["service", "topic"],
)
LANES_OWNED = Gauge("makegood_lanes_owned", "Lanes that this process owns.", ["service"])
OUTBOX_EVENTS = Gauge(
    "makegood_outbox_events", "Events that are committed and not published yet, over the lanes owned.", ["service"]
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "makegood_outbox_oldest_seconds",
    "Age of the oldest outbox row that is not published yet; 0 where all are.",
    ["service"],
)
DEAD_LETTERS_OPEN = Gauge(
    "makegood_dead_letters_open",
    "Dead letters that were neither redriven nor dropped, over the lanes owned; counted up to 10,000.",
    ["service"],
)
TIMER_LAG_SECONDS = Gauge(
    "makegood_timer_lag_seconds",
    "How long the timer has been due that is due longest (parking times, sellers' deadlines, mails); 0 where none is.",
    ["service"],
)

# What happens to claims and money.
DECISIONS = Counter(
    "makegood_decisions_total",
    "Decisions on claims; decided_by is policy or staff, merchant is other where there is no policy.",
    ["merchant", "outcome", "decided_by"],
)
REFUNDS = Counter(
    "makegood_refunds_total",
    "Refunds by what became of them: instructed, succeeded, failed.",
    ["outcome", "currency"],
)
REFUNDS_MINOR_UNITS = Counter(
    "makegood_refunds_instructed_minor_units_total",
    "Money instructed to be refunded, in minor units of the currency (IRR and VND have none: whole rial and dong). "
    "For curves: exact up to 2^53; the accounts are on refunds.v1.",
    ["currency"],
)
REFUNDS_STUCK = Gauge(
    "makegood_refunds_stuck",
    "Refunds instructed whose settlement has not come within the time set for it, over the lanes owned.",
)
CLAIMS_PARKED = Gauge(
    "makegood_claims_parked", "Claims that wait for their order, over the lanes owned; counted up to 10,000."
)
NOTIFICATIONS = Counter(
    "makegood_notifications_total", "Messages to customers: sent or failed.", ["outcome", "template"]
)
MESSAGES_PENDING = Gauge(
    "makegood_messages_pending",
    "Messages to customers that are not handed over yet, over the lanes owned; counted up to 10,000.",
)
MESSAGE_OLDEST_SECONDS = Gauge(
    "makegood_message_oldest_seconds",
    "Age of the oldest message to a customer that is not handed over yet; 0 where none waits.",
)
MAIL_SECONDS = Histogram(
    "makegood_mail_seconds",
    "Time of handing one letter to the mail server, by its answer: accepted, refused, later, offline.",
    ["verdict"],
    buckets=_SECONDS,
)

# What the console sees over all topics.
CLAIMS_REACHED = Total(
    "makegood_claims_reached_total", "Claims that have reached a stage, as the console has read it.", ["stage"]
)
CLAIM_AGE_SECONDS = Gauge(
    "makegood_claim_age_seconds",
    "Age of claims when they reached a stage in the last 15 minutes, since they were received; by quantile.",
    ["stage", "quantile"],
)
CLAIMS = Gauge("makegood_claims", "Claims by where they stand now.", ["state"])
CLAIMS_OVERDUE = Gauge(
    "makegood_claims_overdue", "Claims past the time until when somebody outside was to act; counted up to 10,000."
)
CLAIMS_STUCK = Gauge(
    "makegood_claims_stuck", "Claims for which the pipeline itself owes the next step for too long; up to 1,000."
)
CLAIM_STUCK_SECONDS = Gauge(
    "makegood_claim_stuck_seconds",
    "How long the pipeline has owed a claim its next step, at most; 0 where none is stuck.",
)
UNFOLDED_RECORDS = Gauge(
    "makegood_unfolded_records", "Records that the console could not read into its model; counted up to 1,000."
)

_FROM_THE_START = (
    RETRIES,
    PUBLISHED,
    RELAY_FAILURES,
    LANES_OWNED,
    OUTBOX_EVENTS,
    OUTBOX_OLDEST_SECONDS,
    DEAD_LETTERS_OPEN,
    BATCH_RECORDS,
    TRANSACTION_SECONDS,
    EVENT_AGE_SECONDS,
    PUBLISH_SECONDS,
)


def begin(service: str) -> None:
    """Show a service's metrics with 0 from the start: a rise from nothing is none that an alert could see."""
    for metric in _FROM_THE_START:
        metric.labels(service)
    for outcome in ("consumed", "repeated", "dead_letter", "emitted"):
        EVENTS.labels(service, outcome)
