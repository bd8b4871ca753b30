-- Every policy version that governs a claim here, as it was when it was first used (digest: shared/policy/model.py).
-- The service does not start over a database that has used a version which is not the same any more.
CREATE TABLE policy_used (
    merchant text        NOT NULL,
    version  integer     NOT NULL,
    digest   text        NOT NULL,
    since    timestamptz NOT NULL,
    PRIMARY KEY (merchant, version)
);
