-- The state of an order is MessagePack now (services/refund_calculation/codec.py). No release ever wrote the text that it
-- was before, so there is nothing to convert; a database that has some is not silently emptied.
DO $$
BEGIN
    IF EXISTS (SELECT FROM order_money) THEN
        RAISE EXCEPTION 'order_money was written by a build older than the first release: start from an empty database';
    END IF;
END $$;
ALTER TABLE order_money ALTER COLUMN state TYPE bytea USING convert_to(state, 'UTF8');
