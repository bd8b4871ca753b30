"""Every metric of the pipeline, in one place. No ids in labels: claims are found in the topics, not in the metrics."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3600, 86400)

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
PUBLISH_SECONDS = Histogram(
    "makegood_publish_seconds",
    "Time of one round of the relay, from building the record batches to the last acknowledgement.",
    ["service"],
    buckets=_SECONDS,
)
EVENT_AGE_SECONDS = Histogram(
    "makegood_event_age_seconds",
    "Age of the oldest record of a batch when it was taken up, by its Kafka timestamp.",
    ["service"],
    buckets=_AGES,
)
LAG_RECORDS = Gauge(
    "makegood_lag_records", "Records in the input topics that are not processed yet, over the lanes owned.", ["service"]
)
LANES_OWNED = Gauge("makegood_lanes_owned", "Lanes that this process owns.", ["service"])
OUTBOX_EVENTS = Gauge("makegood_outbox_events", "Events that are committed and not published yet.", ["service"])
RETRIES = Counter("makegood_retries_total", "Batches tried again after an infrastructure error.", ["service"])
