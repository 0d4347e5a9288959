-- The one truth: events, and what was the same for all events of one transaction. Rows are added, never changed: the
-- writer has no right to, and triggers refuse it to everyone else.

CREATE TABLE events (
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL CHECK (originator_version >= 1),
    topic              text   NOT NULL,   -- zorgkas.ZorgpremieCharged/1: ours, never a Python path
    state              bytea  NOT NULL,   -- JSON; personal fields sealed in it
    notification_id    bigint NOT NULL,   -- the position: rises in the order of commits, may have holes
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    -- Rows are never updated or deleted, so there is nothing to vacuum but the visibility map.
    autovacuum_vacuum_threshold = 100000000,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.02
);
CREATE SEQUENCE events_notification_id_seq OWNED BY events.notification_id;
ALTER TABLE events ALTER COLUMN notification_id SET DEFAULT nextval('events_notification_id_seq');
CREATE UNIQUE INDEX events_notification_id_idx ON events (notification_id);
-- Which streams of a kind there are, in id order: one entry per stream. The kind is the 14th byte of the id.
CREATE INDEX events_first_of_kind_idx ON events (get_byte(uuid_send(originator_id), 13), originator_id)
    WHERE originator_version = 1;

CREATE TABLE commits (
    first_position bigint      PRIMARY KEY,
    last_position  bigint      NOT NULL CHECK (last_position >= first_position),
    recorded_at    timestamptz NOT NULL,   -- the server's clock, under the append lock: never before the one before it
    command_id     uuid        NOT NULL,
    actor          text        NOT NULL CHECK (actor <> ''),
    run            uuid,
    cause          text        NOT NULL,
    business_date  date        NOT NULL
);
CREATE INDEX commits_last_position_idx ON commits (last_position);
CREATE INDEX commits_command_idx ON commits (command_id);
CREATE INDEX commits_recorded_at_idx ON commits USING brin (recorded_at);

-- What a command was answered, in the transaction of its events: the same command again changes nothing.
CREATE TABLE answers (
    command_id  uuid        PRIMARY KEY,
    digest      text        NOT NULL,      -- SHA-256 of the command: the same id with other content is refused
    outcome     text        NOT NULL,
    detail      jsonb       NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The latest state of each stream: a cache, made again at will. The key of events is the only guard.
CREATE TABLE heads (
    stream       uuid     PRIMARY KEY,
    kind         smallint NOT NULL,
    version      bigint   NOT NULL,
    fold_version integer  NOT NULL,        -- of the code that folded it; of another one, it is not used
    state        bytea    NOT NULL
) WITH (fillfactor = 60);

-- Values that only one stream may hold, such as national numbers: a keyed digest, never the value.
CREATE TABLE unique_marks (
    kind   text  NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    stream uuid  NOT NULL,
    PRIMARY KEY (kind, digest)
);

-- A key per member, wrapped by the master key that is not in here. Erased is for ever: the row stays, without a key.
CREATE TABLE member_keys (
    owner     uuid        PRIMARY KEY,
    wrapped   bytea,
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    erased_at timestamptz,
    CONSTRAINT a_key_or_a_tombstone CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);

-- --- Who may do what ------------------------------------------------------------------------------------------------
-- Of events only four columns: a writer that chose its own position would make readers skip what comes below it.
GRANT SELECT, INSERT (originator_id, originator_version, topic, state) ON events TO backoffice_writer;
GRANT SELECT, USAGE ON SEQUENCE events_notification_id_seq TO backoffice_writer;
GRANT SELECT, INSERT ON commits, unique_marks TO backoffice_writer;
GRANT SELECT, INSERT (command_id, digest, outcome, detail) ON answers TO backoffice_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON heads TO backoffice_writer;
GRANT SELECT, INSERT (owner, wrapped) ON member_keys TO backoffice_writer;
GRANT SELECT ON events, commits, answers TO backoffice_reader;
GRANT SELECT ON SEQUENCE events_notification_id_seq TO backoffice_reader;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was recorded in % is never changed; record a correction as a new event', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['events', 'commits', 'answers']
    LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

-- A key may only go away, and then for ever.
CREATE FUNCTION keep_tombstone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.wrapped IS NULL OR NEW.wrapped IS NOT NULL OR NEW.owner <> OLD.owner THEN
        RAISE EXCEPTION 'a member key is made once and erased once' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erase_only BEFORE UPDATE ON member_keys FOR EACH ROW EXECUTE FUNCTION keep_tombstone();
CREATE TRIGGER no_removal BEFORE DELETE OR TRUNCATE ON member_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- --- For auditors ---------------------------------------------------------------------------------------------------
CREATE VIEW events_readable AS
SELECT e.notification_id                            AS position,
       e.originator_id                              AS stream,
       e.originator_version                         AS version,
       split_part(e.topic, '/', 1)                  AS type,
       split_part(e.topic, '/', 2)::integer         AS type_version,
       convert_from(e.state, 'UTF8')                AS event,
       c.recorded_at, c.actor, c.cause, c.business_date, c.run, c.command_id
FROM events e
LEFT JOIN LATERAL (
    SELECT * FROM commits
    WHERE commits.first_position <= e.notification_id
    ORDER BY commits.first_position DESC LIMIT 1
) c ON c.last_position >= e.notification_id;
GRANT SELECT ON events_readable TO backoffice_reader;
