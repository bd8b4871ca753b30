-- Backtests that people had the console run; at most one runs at a time. Not in the topics, so a rebuild leaves it alone.
CREATE TABLE backtest (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant text        NOT NULL,
    version  integer     NOT NULL,
    digest   text        NOT NULL,
    since    timestamptz,
    actor    text        NOT NULL,
    begun_at timestamptz NOT NULL,
    ended_at timestamptz,
    result   text,                -- what `claims policy backtest --json` printed
    problem  text
);
CREATE UNIQUE INDEX backtest_one_at_a_time ON backtest ((true)) WHERE ended_at IS NULL;
CREATE INDEX backtest_policy ON backtest (merchant, version, id DESC);
