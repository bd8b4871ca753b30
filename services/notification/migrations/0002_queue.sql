-- `message` becomes the queue of what is still to be told: a row is written once, and deleted in the unit of work that
-- publishes what became of it. What was told lies in the claim's row, so that nothing has to be looked up in what is done.

-- `notices`: 16 bytes for each notice that was made of the claim, the id of the notification, the latest last; refusals are
-- left out: an id that was refused may be used again, and each refusal is an event of its own.
ALTER TABLE claim ADD COLUMN waiting boolean NOT NULL DEFAULT false;
ALTER TABLE claim ADD COLUMN decided boolean NOT NULL DEFAULT false;
ALTER TABLE claim ADD COLUMN notices bytea NOT NULL DEFAULT ''::bytea;
UPDATE claim SET waiting = (told::json ->> 'waiting')::boolean, decided = (told::json ->> 'decided')::boolean;
ALTER TABLE claim DROP COLUMN told;
UPDATE claim c SET notices = m.notices
FROM (SELECT merchant, claim_id, string_agg(uuid_send(notification_id::uuid), ''::bytea ORDER BY place) AS notices
      FROM message WHERE template <> 'refused' GROUP BY merchant, claim_id) m
WHERE c.merchant = m.merchant AND c.claim_id = m.claim_id;
-- A claim's row is written two or three times within its days, and no index holds what changes: room for a second version
-- in the page lets it stay there.
ALTER TABLE claim SET (fillfactor = 70);

ALTER TABLE message RENAME TO message_until_0002;
ALTER TABLE message_until_0002 RENAME CONSTRAINT message_pkey TO message_until_0002_pkey;
DROP INDEX message_due, message_next, message_of_order, message_outcome;

-- One message to tell, from the event that calls for it (`event`, as it came). `place` gives the order within a claim: only the
-- first one of a claim is handed over. `due` moves when an attempt fails; `attempts` and `reason` are of those that failed.
CREATE TABLE message (
    merchant        text        NOT NULL,
    claim_id        text        NOT NULL,
    place           bigint      GENERATED ALWAYS AS IDENTITY,
    lane            integer     NOT NULL,
    due             timestamptz NOT NULL,
    notification_id text        NOT NULL,
    order_id        text        NOT NULL,
    template        text        NOT NULL,
    event_type      text        NOT NULL,
    event           bytea       NOT NULL,
    traceparent     text        NOT NULL,
    created_at      timestamptz NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    reason          text,
    PRIMARY KEY (merchant, claim_id, place)
) WITH (
    -- An event of 2 KB or more is kept in the row as it is: compressing what lives for a second is for nothing.
    toast_tuple_target = 8160,
    -- A queue is empty or full, and never as it was when it was looked at last.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1
);
INSERT INTO message (merchant, claim_id, place, lane, due, notification_id, order_id, template, event_type, event,
                     traceparent, created_at, attempts, reason)
OVERRIDING SYSTEM VALUE
SELECT merchant, claim_id, place, lane, due, notification_id, order_id, template, event_type, convert_to(event, 'UTF8'),
       traceparent, created_at, attempts, reason
FROM message_until_0002 WHERE state IN ('pending', 'accepted', 'refused');
SELECT setval(pg_get_serial_sequence('message', 'place'), coalesce(max(place), 0) + 1, false) FROM message_until_0002;
CREATE INDEX message_due ON message (lane, due, place);

-- How far an owner of a lane has taken messages in hand: what is not past `upto` is left alone by others until `until`, or until the
-- owner takes the row away because it has nothing in hand any more.
CREATE TABLE in_hand (
    lane    integer     NOT NULL,
    owner   uuid        NOT NULL,
    upto    bigint      NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (lane, owner)
);
INSERT INTO in_hand (lane, owner, upto, until)
SELECT lane, gen_random_uuid(), max(place), max(leased_until) FROM message_until_0002
WHERE state = 'pending' AND leased_until > now() GROUP BY lane;

-- What became of messages whose lane was lost while they were in hand: noted by who had them, published by who has the lane.
CREATE TABLE outcome (
    merchant       text    NOT NULL,
    claim_id       text    NOT NULL,
    place          bigint  NOT NULL,
    lane           integer NOT NULL,
    accepted       boolean NOT NULL,
    locale         text    NOT NULL,
    recipient_hash text,
    reason         text,
    PRIMARY KEY (lane, place)
);
INSERT INTO outcome (merchant, claim_id, place, lane, accepted, locale, recipient_hash, reason)
SELECT merchant, claim_id, place, lane, state = 'accepted', locale, recipient_hash, reason
FROM message_until_0002 WHERE state IN ('accepted', 'refused');

DROP TABLE message_until_0002;
