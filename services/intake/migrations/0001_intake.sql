-- An order, placed or not yet, with the units that its claims hold (JSON, services/intake/state.py). The row is what keeps
-- two replicas apart that meet events of the same order. No contact data.
CREATE TABLE order_state (
    merchant text NOT NULL,
    order_id text NOT NULL,
    state    text NOT NULL DEFAULT '{}',
    PRIMARY KEY (merchant, order_id)
) WITH (fillfactor = 70);

-- Claim ids that have been named. `order_id` is that of the order for which the claim was admitted; null: not admitted.
CREATE TABLE claim (
    merchant text NOT NULL,
    claim_id text NOT NULL,
    order_id text,
    PRIMARY KEY (merchant, claim_id)
);

-- Records that came too early, byte for byte, in the order of arrival (id): claims before their order (`until` is set), and
-- what came before its claim.
CREATE TABLE waiting (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant text        NOT NULL,
    order_id text        NOT NULL,
    claim_id text        NOT NULL,
    lane     integer     NOT NULL,
    until    timestamptz,
    came_at  timestamptz NOT NULL,
    record   bytea       NOT NULL
);
CREATE INDEX waiting_order ON waiting (merchant, order_id);
CREATE INDEX waiting_claim ON waiting (merchant, claim_id);
CREATE INDEX waiting_until ON waiting (lane, until) WHERE until IS NOT NULL;

-- The inbox for foreign ids: an event's (source, id), or the id of an answer, a return or a review, hashed to 16 bytes, with
-- the digest of the data that came first.
CREATE TABLE seen (
    key     bytea       PRIMARY KEY,
    digest  bytea       NOT NULL,
    seen_at timestamptz NOT NULL
);
