-- How far the walk through a table has come that deletes what has served its time (shared/bus/sweep.py).
CREATE TABLE sweep (
    name text   PRIMARY KEY,
    page bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
