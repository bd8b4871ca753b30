-- Measured (docs/scale.md, Room in the pages): a row is written twice, and even where a third of the page is free three of four
-- second versions find no room in it. Full pages take 17 % less disk at no more processor.
-- Dead rows are at most a twentieth of the table, not a fifth.
ALTER TABLE order_money SET (fillfactor = 100, autovacuum_vacuum_scale_factor = 0.05);
-- A row lives until the payment system reports, some days: half of the writes are deletions.
ALTER TABLE awaited_settlement SET (autovacuum_vacuum_scale_factor = 0.05);
