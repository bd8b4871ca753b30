-- What became of a dead letter: 'dead' until it is redriven or dropped. A drop keeps who and why.
ALTER TABLE dead_letter
    ADD COLUMN state         text NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'redriven', 'dropped')),
    ADD COLUMN type          text NOT NULL DEFAULT '',
    ADD COLUMN first_at      timestamptz,
    ADD COLUMN closed_at     timestamptz,
    ADD COLUMN closed_by     text,
    ADD COLUMN closed_reason text;
CREATE INDEX dead_letter_fingerprint ON dead_letter (fingerprint, at);
