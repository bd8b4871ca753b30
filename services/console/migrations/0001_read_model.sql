-- The read model: folded from the topics, emptied and folded again by `python -m services.console rebuild`.

-- Every event about an order, as it came. The claim page is folded from these.
CREATE TABLE entry (
    topic         text    NOT NULL,
    lane          integer NOT NULL,
    record_offset bigint  NOT NULL,
    at_ms         bigint  NOT NULL,  -- the broker's time stamp
    merchant      text    NOT NULL,
    order_id      text    NOT NULL,
    claim_id      text,
    type          text    NOT NULL,
    source        text    NOT NULL,
    event_id      text    NOT NULL,
    traceparent   text    NOT NULL,
    structured    boolean NOT NULL,
    value         bytea   NOT NULL
);
-- No primary key: offsets are fenced by the delivery kit, and one index less is a third of the write.
CREATE INDEX entry_order ON entry (merchant, order_id);

CREATE TABLE claim (
    merchant       text    NOT NULL,
    claim_id       text    NOT NULL,
    order_id       text    NOT NULL,
    customer_id    text,
    reason         text,
    wants          text,
    currency       text,
    first_ms       bigint  NOT NULL,
    state          text    NOT NULL,
    since_ms       bigint  NOT NULL,
    stuck_ms       bigint,            -- since when the machine owes the next step
    due_ms         bigint,            -- until when somebody outside is waited for
    outcome        text,
    refunded       bigint  NOT NULL,  -- minor units, over all decisions
    clauses        text[]  NOT NULL,
    policy         text,
    facts          text    NOT NULL,
    PRIMARY KEY (merchant, claim_id)
) WITH (fillfactor = 80);
CREATE INDEX claim_recent ON claim (first_ms DESC, merchant DESC, claim_id DESC);
CREATE INDEX claim_id ON claim (claim_id);
CREATE INDEX claim_order ON claim (order_id);
CREATE INDEX claim_customer ON claim (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX claim_reason ON claim (reason, first_ms DESC);
CREATE INDEX claim_outcome ON claim (outcome, first_ms DESC) WHERE outcome IS NOT NULL;
CREATE INDEX claim_clauses ON claim USING gin (clauses);
CREATE INDEX claim_waiting ON claim (state, since_ms)
    WHERE state IN ('awaiting_delivery', 'awaiting_seller', 'awaiting_return', 'review');
CREATE INDEX claim_due ON claim (due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX claim_stuck ON claim (stuck_ms) WHERE stuck_ms IS NOT NULL;

CREATE TABLE counter (
    name text   PRIMARY KEY,
    n    bigint NOT NULL
) WITH (fillfactor = 50);

-- How many claims reached a stage in a minute, by the bucket of their age then (-1: age unknown).
CREATE TABLE tempo (
    minute bigint  NOT NULL,
    stage  text    NOT NULL,
    bucket integer NOT NULL,
    n      bigint  NOT NULL,
    PRIMARY KEY (minute, stage, bucket)
) WITH (fillfactor = 50);

CREATE TABLE letter (
    topic         text    NOT NULL,
    lane          integer NOT NULL,
    record_offset bigint  NOT NULL,
    at_ms         bigint  NOT NULL,
    service       text    NOT NULL,
    origin_topic  text    NOT NULL,
    origin_lane   integer,
    origin_offset bigint,
    type          text    NOT NULL,
    subject       text    NOT NULL,
    reason        text    NOT NULL,
    path          text    NOT NULL,
    fingerprint   text    NOT NULL,
    attempts      integer NOT NULL,
    refused_ms    bigint  NOT NULL,  -- when it was refused for the first time
    key           bytea,
    value         bytea,
    headers       bytea   NOT NULL,
    PRIMARY KEY (topic, lane, record_offset)
);
CREATE INDEX letter_fingerprint ON letter (fingerprint, at_ms DESC);

CREATE TABLE policy_seen (
    policy_id text    NOT NULL,
    version   integer NOT NULL,
    digest    text    NOT NULL,
    first_ms  bigint  NOT NULL,
    PRIMARY KEY (policy_id, version, digest)
);

-- Records that could not be folded: a fault of the console, never a reason to stop.
CREATE TABLE unfolded (
    topic         text    NOT NULL,
    lane          integer NOT NULL,
    record_offset bigint  NOT NULL,
    error         text    NOT NULL,
    PRIMARY KEY (topic, lane, record_offset)
);
