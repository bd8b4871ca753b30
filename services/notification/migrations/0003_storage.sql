-- Dead rows are at most a twentieth of the table, not a fifth (docs/scale.md).
ALTER TABLE claim SET (autovacuum_vacuum_scale_factor = 0.05);
