-- What an order's money has come to: its ledger, its payments, and per claim its units, decisions and settlements (JSON,
-- services/refund_calculation/codec.py). One row an order, locked while a claim of it is decided: that is what keeps two
-- claims on one order from drawing the same unit, or more than was paid.
CREATE TABLE order_money (
    merchant text    NOT NULL,
    order_id text    NOT NULL,
    lane     integer NOT NULL,
    state    text    NOT NULL,
    PRIMARY KEY (merchant, order_id)
) WITH (fillfactor = 70);
