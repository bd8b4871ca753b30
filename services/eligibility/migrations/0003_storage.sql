-- Dead rows are at most a twentieth of the table, not a fifth: at ten million claims that is 0.6 GB, not 2.4 (docs/scale.md).
ALTER TABLE claim_state SET (autovacuum_vacuum_scale_factor = 0.05);
