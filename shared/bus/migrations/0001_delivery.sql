-- What every service's database holds for the delivery of events; the service's own tables come with its own migrations.

-- A lane is a partition number. `owner` is the fence: only the process whose token stands here may commit.
CREATE TABLE lane (
    lane      integer PRIMARY KEY,
    owner     uuid,
    emitted   bigint NOT NULL DEFAULT 0,  -- number of the last event written to the outbox
    published bigint NOT NULL DEFAULT 0   -- all events up to this number are in Kafka
) WITH (fillfactor = 50);

CREATE TABLE position (
    topic       text    NOT NULL,
    lane        integer NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (topic, lane)
) WITH (fillfactor = 50);

-- The inbox for events of our own services: their numbers rise per origin (service and source lane), so one number tells a repeat.
CREATE TABLE inbox_mark (
    topic  text    NOT NULL,
    lane   integer NOT NULL,
    origin text    NOT NULL,
    number bigint  NOT NULL,
    PRIMARY KEY (topic, lane, origin)
) WITH (fillfactor = 50);

-- One row per lane and transaction; `number` is that of its last event.
CREATE TABLE outbox (
    lane       integer     NOT NULL,
    number     bigint      NOT NULL,
    events     bytea       NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (lane, number)
);
-- The events are compact already and live for milliseconds: compressing them costs more than it saves.
ALTER TABLE outbox ALTER COLUMN events SET STORAGE EXTERNAL;

CREATE TABLE dead_letter (
    topic         text        NOT NULL,
    lane          integer     NOT NULL,
    record_offset bigint      NOT NULL,
    key           bytea,
    value         bytea,
    headers       bytea       NOT NULL,
    reason        text        NOT NULL,
    path          text        NOT NULL,
    fingerprint   text        NOT NULL,
    attempts      integer     NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (topic, lane, record_offset)
);

-- What happened to a claim, in the order of commit. Append only.
CREATE TABLE history (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    merchant      text        NOT NULL,
    claim_id      text        NOT NULL,
    what          text        NOT NULL,
    topic         text,
    lane          integer     NOT NULL,
    record_offset bigint,
    at            timestamptz NOT NULL
);
CREATE INDEX history_claim ON history (merchant, claim_id);
