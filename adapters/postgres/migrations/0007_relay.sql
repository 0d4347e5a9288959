-- How far the events were published, by whom, and the last sequence sent to each partition (a subscriber sees a gap by it).
-- One holder at a time: taking over raises the epoch, and a holder of an older epoch can move nothing any more.
CREATE TABLE relays (
    relay       text PRIMARY KEY,
    position    bigint NOT NULL DEFAULT 0,       -- the last event that every broker acknowledged
    epoch       bigint NOT NULL DEFAULT 0,
    holder      text,
    lease_until timestamptz,
    recorded_at timestamptz,                     -- of the event at that position
    moved_at    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 50);

CREATE TABLE relay_partitions (
    relay         text    NOT NULL REFERENCES relays,
    topic         text    NOT NULL,
    partition     integer NOT NULL CHECK (partition >= 0),
    last_sequence bigint  NOT NULL,
    PRIMARY KEY (relay, topic, partition)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON relays, relay_partitions TO backoffice_writer;
GRANT SELECT ON relays, relay_partitions TO backoffice_reader;
