-- All facts about a claim and what was last said about it (JSON, services/eligibility/facts.py). A row may be there before
-- its claim is admitted. `due`: when the claim has to be looked at again although nothing came; null: never.
CREATE TABLE claim_state (
    merchant text        NOT NULL,
    order_id text        NOT NULL,
    claim_id text        NOT NULL,
    lane     integer     NOT NULL,
    revision integer     NOT NULL,
    due      timestamptz,
    state    text        NOT NULL,
    PRIMARY KEY (merchant, order_id, claim_id)
) WITH (fillfactor = 70);
CREATE INDEX claim_state_due ON claim_state (lane, due) WHERE due IS NOT NULL;
