-- When a process last lived. It is no history: one row per process, written over by the next sign of life.
CREATE TABLE heartbeats (
    process    text        PRIMARY KEY,
    beaten_at  timestamptz NOT NULL,   -- by the clock of the machine on which it lives
    said       text        NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 50);
GRANT SELECT, INSERT, UPDATE ON heartbeats TO backoffice_writer;
GRANT SELECT ON heartbeats TO backoffice_reader;
