-- How to reach the customer of an order. Personal data lies here and nowhere else in the pipeline.
CREATE TABLE contact (
    merchant    text    NOT NULL,
    order_id    text    NOT NULL,
    lane        integer NOT NULL,
    customer_id text    NOT NULL,
    name        text,
    email       text,
    phone       text,
    locale      text,
    PRIMARY KEY (merchant, order_id)
);

-- What the customer has been told of a claim, and what letters say of it (no personal data). Both as JSON.
CREATE TABLE claim (
    merchant text    NOT NULL,
    claim_id text    NOT NULL,
    lane     integer NOT NULL,
    order_id text    NOT NULL,
    told     text    NOT NULL,
    sheet    text,
    PRIMARY KEY (merchant, claim_id)
);

-- One message to tell. `place` gives the order within a claim; `state`:
--   pending   to be handed to the mail server when `due`, unless `leased_until` says that somebody is at it
--   accepted, refused   the outcome is known and not yet published
--   sent, failed        published
CREATE TABLE message (
    notification_id text        PRIMARY KEY,
    place           bigint      GENERATED ALWAYS AS IDENTITY,
    lane            integer     NOT NULL,
    merchant        text        NOT NULL,
    order_id        text        NOT NULL,
    claim_id        text        NOT NULL,
    template        text        NOT NULL,
    event_type      text        NOT NULL,
    event           text,
    traceparent     text        NOT NULL,
    created_at      timestamptz NOT NULL,
    due             timestamptz NOT NULL,
    leased_until    timestamptz,
    attempts        integer     NOT NULL DEFAULT 0,
    state           text        NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'accepted', 'refused', 'sent', 'failed')),
    locale          text,
    recipient_hash  text,
    reason          text,
    closed_at       timestamptz
);
CREATE INDEX message_due ON message (lane, due) WHERE state = 'pending';
CREATE INDEX message_next ON message (merchant, claim_id, place) WHERE state = 'pending';
CREATE INDEX message_of_order ON message (merchant, order_id) WHERE state = 'pending';
CREATE INDEX message_outcome ON message (lane, place) WHERE state IN ('accepted', 'refused');
