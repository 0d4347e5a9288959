-- Where each consumer stands in each partition: written in the transaction of its effect, so that neither can be without
-- the other. The topic's id tells a topic from another one that was made under the same name.
CREATE TABLE consumer_offsets (
    consumer    text    NOT NULL,
    topic       text    NOT NULL,
    partition   integer NOT NULL CHECK (partition >= 0),
    topic_id    text    NOT NULL,
    next_offset bigint  NOT NULL CHECK (next_offset >= 0),
    high_water  bigint,                     -- the last sequence of the source that was taken; what is not above it is a repeat
    epoch       text    NOT NULL DEFAULT '',  -- of which history of the source that sequence is
    tombstones  bigint  NOT NULL DEFAULT 0, -- messages without a value that were passed over
    standing    text    NOT NULL DEFAULT '',  -- why this partition stands still, when a person must look
    moved_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 50);

-- Messages that could not be taken, and what came after them for the same key: in order, until a person decides.
CREATE TABLE dead_letters (
    number            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer          text    NOT NULL,
    topic             text    NOT NULL,
    partition         integer NOT NULL,
    "offset"          bigint  NOT NULL,
    key               bytea,                -- of a sealed letter its keyed digest: the same key, the same bytes
    value             bytea,                -- of a sealed letter the box, with key and headers in it
    headers           jsonb   NOT NULL,     -- name and base64 of the value, in order
    sealed            boolean NOT NULL,
    bytes             integer,              -- how long the value is
    timestamp_ms      bigint  NOT NULL,
    sequence          bigint,               -- what its headers say, if they can be read: later messages refer to it
    previous_sequence bigint,
    code              text    NOT NULL,     -- BEHIND: nothing is wrong with it, it waits for an earlier one of its key
    problem           text    NOT NULL,
    attempts          integer NOT NULL DEFAULT 1,
    state             text    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'discarded')),
    parked_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    resolved_at       timestamptz,
    resolved_by       text,
    reason            text,
    CONSTRAINT resolved_by_somebody CHECK ((state = 'waiting') = (resolved_at IS NULL) AND (state = 'waiting' OR resolved_by <> '')),
    CONSTRAINT discarded_with_a_reason CHECK (state <> 'discarded' OR reason <> '')
);
CREATE INDEX dead_letters_waiting_idx ON dead_letters (consumer, topic, key) WHERE state = 'waiting';
CREATE INDEX dead_letters_sequence_idx ON dead_letters (consumer, topic, partition, sequence) WHERE sequence IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON consumer_offsets, dead_letters TO backoffice_writer;
GRANT SELECT ON consumer_offsets TO backoffice_reader;
