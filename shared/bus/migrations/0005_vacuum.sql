-- What is emitted goes through the outbox within milliseconds and leaves up to 2 KB of dead rows a claim, nearly all of them
-- in the table where Postgres keeps long values apart: it is vacuumed without the pauses that spare large tables.
ALTER TABLE outbox SET (autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_cost_delay = 0);
-- A row of the history never changes: frozen by the first vacuum that sees it, its page is never written again.
ALTER TABLE history SET (autovacuum_freeze_min_age = 0);
