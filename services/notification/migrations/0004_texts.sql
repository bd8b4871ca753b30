-- The texts of mails that the mail server has taken, for the console: as they went out, with the customer's name in them. Written
-- once, pruned after MAKEGOOD_KEEP_MAILS_DAYS. The key begins like the queue's, so that the texts of a claim, and of claims
-- that came together, lie together: an index on the notification's id, a hash, would be written all over (docs/scale.md).
CREATE TABLE mail_text (
    merchant        text        NOT NULL,
    claim_id        text        NOT NULL,
    place           bigint      NOT NULL,
    notification_id text        NOT NULL,
    subject         text        NOT NULL,
    body            text        NOT NULL,
    sent_at         timestamptz NOT NULL,
    PRIMARY KEY (merchant, claim_id, place)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_freeze_min_age = 0);
