-- Refunds that were instructed and of which no payment system has reported yet (refund.settled). `alerted_at`: when it was
-- said that the report is late. A row goes with the first report, whatever it says.
CREATE TABLE awaited_settlement (
    refund_id     text        PRIMARY KEY,
    merchant      text        NOT NULL,
    order_id      text        NOT NULL,
    claim_id      text        NOT NULL,
    lane          integer     NOT NULL,
    amount        text        NOT NULL,
    currency      text        NOT NULL,
    instructed_at timestamptz NOT NULL,
    alerted_at    timestamptz
);
CREATE INDEX awaited_settlement_due ON awaited_settlement (instructed_at) WHERE alerted_at IS NULL;
CREATE INDEX awaited_settlement_late ON awaited_settlement (lane) WHERE alerted_at IS NOT NULL;
