-- What people did and who is signed in: not in the topics, so a rebuild leaves it alone.

CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text        NOT NULL,
    role     text        NOT NULL,
    action   text        NOT NULL,
    merchant text,
    claim_id text,
    subject  text,
    detail   text        NOT NULL
);
CREATE INDEX audit_claim ON audit (merchant, claim_id) WHERE claim_id IS NOT NULL;
CREATE INDEX audit_actor ON audit (actor, id DESC);
CREATE INDEX audit_action ON audit (action, id DESC);

-- What became of a dead letter.
CREATE TABLE resolution (
    topic         text        NOT NULL,
    lane          integer     NOT NULL,
    record_offset bigint      NOT NULL,
    what          text        NOT NULL CHECK (what IN ('redriven', 'dropped')),
    actor         text        NOT NULL,
    reason        text        NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (topic, lane, record_offset)
);

-- One person's action on one standing of a claim: whoever comes second is told so.
CREATE TABLE action_taken (
    merchant text        NOT NULL,
    claim_id text        NOT NULL,
    standing text        NOT NULL,
    event_id text        NOT NULL,
    actor    text        NOT NULL,
    at       timestamptz NOT NULL,
    PRIMARY KEY (merchant, claim_id, standing)
);

CREATE TABLE session (
    token_hash bytea       PRIMARY KEY,
    name       text        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('viewer', 'staff', 'admin')),
    csrf       text        NOT NULL,
    began_at   timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL
);
CREATE INDEX session_ends ON session (ends_at);
