-- Measured (docs/scale.md, Room in the pages): one of five claims' rows is written again; with a fifth of the page free four of
-- five of these stay in it, for 10 bytes a claim.
ALTER TABLE claim SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
-- Dead rows are at most a twentieth of the table, not a fifth: at ten million orders that is 0.6 GB, not 2.4.
ALTER TABLE order_state SET (autovacuum_vacuum_scale_factor = 0.05);
-- Never changed, deleted after weeks: frozen by the first vacuum that sees it.
ALTER TABLE seen SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_freeze_min_age = 0);
