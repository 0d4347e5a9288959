-- Runs: what a person approves, item by item. The run's own events stand in the event table and carry the hash of this.
-- Everything here is written once, except run_chunks (progress) and ogm_counter (the next free number).

CREATE TABLE runs (
    run            uuid PRIMARY KEY,
    job            text NOT NULL,
    business_date  date NOT NULL,
    round          integer NOT NULL CHECK (round >= 1),
    planned_by     text NOT NULL CHECK (planned_by <> ''),
    digest         text NOT NULL,
    needs_approval boolean NOT NULL,
    items          integer NOT NULL CHECK (items >= 0),
    first_ogm      bigint NOT NULL CHECK (first_ogm >= 0),   -- 0: the job takes no payment numbers
    follows        uuid REFERENCES runs,                     -- the run whose refused and parked items this one looks at
    number         bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    UNIQUE (job, business_date, round),
    UNIQUE (run, planned_by, digest)                         -- what an approval refers to
);

CREATE TABLE run_items (
    run            uuid NOT NULL,
    ordinal        integer NOT NULL CHECK (ordinal >= 1),
    stream         uuid NOT NULL,
    version        integer NOT NULL,                         -- of the stream and of its member when it was decided
    member_version integer NOT NULL,
    amount_cents   bigint NOT NULL,
    decision       text NOT NULL,                            -- the exact events, as JSON; text, because its bytes are hashed
    digest         bytea NOT NULL,
    PRIMARY KEY (run, ordinal)
);
CREATE UNIQUE INDEX run_items_stream ON run_items (run, stream);

CREATE TABLE run_passed_over (
    run       uuid NOT NULL,
    stream    uuid NOT NULL,
    reason_no integer NOT NULL,
    PRIMARY KEY (run, stream)
);

CREATE TABLE run_reasons (
    run       uuid NOT NULL REFERENCES runs,
    reason_no integer NOT NULL,
    reason    text NOT NULL,
    basis     text NOT NULL,
    count     integer NOT NULL,
    PRIMARY KEY (run, reason_no)
);

-- Four eyes, held by the database too: the approval names the very digest, and is not given by who planned it.
CREATE TABLE run_approvals (
    run         uuid PRIMARY KEY,
    digest      text NOT NULL,
    planned_by  text NOT NULL,
    approved_by text NOT NULL CHECK (approved_by <> ''),
    CONSTRAINT a_second_person CHECK (lower(btrim(approved_by)) <> lower(btrim(planned_by))),
    FOREIGN KEY (run, planned_by, digest) REFERENCES runs (run, planned_by, digest)
);

CREATE TABLE run_chunks (
    run           uuid NOT NULL REFERENCES runs,
    chunk         integer NOT NULL,
    first_ordinal integer NOT NULL,
    last_ordinal  integer NOT NULL,
    -- The lease is the row's lock, held by the one transaction that does the chunk: it ends with the worker, and the
    -- database ends a worker that hangs. Who did it, and when, is for people.
    worker        text,
    done_at       timestamptz,
    done          integer NOT NULL DEFAULT 0,
    refused       integer NOT NULL DEFAULT 0,
    parked        integer NOT NULL DEFAULT 0,
    events        integer NOT NULL DEFAULT 0,
    amount_cents  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run, chunk)
) WITH (fillfactor = 50);

CREATE TABLE run_outcomes (
    run     uuid NOT NULL,
    ordinal integer NOT NULL,
    stream  uuid NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('refused', 'parked')),
    reason  text NOT NULL,
    detail  text NOT NULL,
    PRIMARY KEY (run, ordinal)
);

-- Payment numbers: one row that planners hold while they plan, so that ranges follow each other without a gap.
CREATE TABLE ogm_counter (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    next bigint NOT NULL CHECK (next > 0 AND next <= 10000000000)
);
INSERT INTO ogm_counter (next) VALUES (1);

CREATE TABLE ogm_ranges (
    first bigint PRIMARY KEY,
    count integer NOT NULL CHECK (count > 0),
    run   uuid NOT NULL REFERENCES runs
);

-- Control totals count what a run wrote in the event table itself.
CREATE INDEX commits_run_idx ON commits (run) WHERE run IS NOT NULL;

-- What was approved does not change afterwards: the writer adds rows, and changes nothing but progress and the counter.
GRANT SELECT, INSERT ON runs, run_items, run_passed_over, run_reasons, run_approvals, run_outcomes, ogm_ranges,
    run_chunks TO backoffice_writer;
GRANT UPDATE (worker, done_at, done, refused, parked, events, amount_cents) ON run_chunks TO backoffice_writer;
GRANT SELECT, UPDATE (next) ON ogm_counter TO backoffice_writer;
GRANT SELECT ON runs, run_items, run_passed_over, run_reasons, run_approvals, run_outcomes, ogm_ranges, run_chunks,
    ogm_counter TO backoffice_reader;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['runs', 'run_items', 'run_passed_over', 'run_reasons', 'run_approvals',
                                'run_outcomes', 'ogm_ranges']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;
