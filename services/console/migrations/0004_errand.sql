-- Events that people caused on the page, until the consumer's process emits them: `event_type` is null for a dead letter
-- that goes back as it came, with its own partition and headers. Not in the topics, so a rebuild leaves it alone.
CREATE TABLE errand (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text    NOT NULL,
    lane        integer,
    event_type  text,
    subject     text,
    traceparent text,
    key         bytea,
    value       bytea,
    headers     bytea
);
