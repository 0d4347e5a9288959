-- Where each read model stands in the feed. The position moves in the transaction that changes the rows, by
-- compare-and-set, so that a worker that was overtaken is fenced (its update finds another position and changes nothing).
CREATE TABLE projection_positions (
    projection text PRIMARY KEY,
    version    integer NOT NULL,      -- of the read model's code; a higher one is built beside and swapped in
    position   bigint  NOT NULL,      -- the last event whose effect stands in the rows
    moved_at   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 50);
