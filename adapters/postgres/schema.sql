-- What the migrations lead to, for reading; written by pytest --approve, never by hand.

CREATE SCHEMA backoffice;

ALTER SCHEMA backoffice OWNER TO backoffice_owner;

CREATE FUNCTION backoffice.keep_tombstone() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.wrapped IS NULL OR NEW.wrapped IS NOT NULL OR NEW.owner <> OLD.owner THEN
        RAISE EXCEPTION 'a member key is made once and erased once' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION backoffice.keep_tombstone() OWNER TO backoffice_owner;

CREATE FUNCTION backoffice.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'what was recorded in % is never changed; record a correction as a new event', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

ALTER FUNCTION backoffice.refuse_change() OWNER TO backoffice_owner;

CREATE TABLE backoffice.answers (
    command_id uuid NOT NULL,
    digest text NOT NULL,
    outcome text NOT NULL,
    detail jsonb NOT NULL,
    answered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE backoffice.answers OWNER TO backoffice_owner;

CREATE TABLE backoffice.commits (
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    command_id uuid NOT NULL,
    actor text NOT NULL,
    run uuid,
    cause text NOT NULL,
    business_date date NOT NULL,
    CONSTRAINT commits_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT commits_check CHECK ((last_position >= first_position))
);

ALTER TABLE backoffice.commits OWNER TO backoffice_owner;

CREATE TABLE backoffice.consumer_offsets (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    topic_id text NOT NULL,
    next_offset bigint NOT NULL,
    high_water bigint,
    epoch text DEFAULT ''::text NOT NULL,
    tombstones bigint DEFAULT 0 NOT NULL,
    standing text DEFAULT ''::text NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT consumer_offsets_next_offset_check CHECK ((next_offset >= 0)),
    CONSTRAINT consumer_offsets_partition_check CHECK ((partition >= 0))
)
WITH (fillfactor='50', autovacuum_vacuum_threshold='50');

ALTER TABLE backoffice.consumer_offsets OWNER TO backoffice_owner;

CREATE TABLE backoffice.dead_letters (
    number bigint NOT NULL,
    consumer text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    sealed boolean NOT NULL,
    bytes integer,
    timestamp_ms bigint NOT NULL,
    sequence bigint,
    previous_sequence bigint,
    code text NOT NULL,
    problem text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by text,
    reason text,
    CONSTRAINT dead_letters_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'taken'::text, 'discarded'::text]))),
    CONSTRAINT discarded_with_a_reason CHECK (((state <> 'discarded'::text) OR (reason <> ''::text))),
    CONSTRAINT resolved_by_somebody CHECK ((((state = 'waiting'::text) = (resolved_at IS NULL)) AND ((state = 'waiting'::text) OR (resolved_by <> ''::text))))
);

ALTER TABLE backoffice.dead_letters OWNER TO backoffice_owner;

ALTER TABLE backoffice.dead_letters ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backoffice.dead_letters_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backoffice.events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigint NOT NULL,
    CONSTRAINT events_originator_version_check CHECK ((originator_version >= 1))
)
WITH (autovacuum_vacuum_threshold='100000000', autovacuum_vacuum_insert_scale_factor='0.1', autovacuum_analyze_scale_factor='0.02');

ALTER TABLE backoffice.events OWNER TO backoffice_owner;

CREATE SEQUENCE backoffice.events_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE backoffice.events_notification_id_seq OWNER TO backoffice_owner;

ALTER SEQUENCE backoffice.events_notification_id_seq OWNED BY backoffice.events.notification_id;

CREATE VIEW backoffice.events_readable AS
 SELECT e.notification_id AS "position",
    e.originator_id AS stream,
    e.originator_version AS version,
    split_part(e.topic, '/'::text, 1) AS type,
    (split_part(e.topic, '/'::text, 2))::integer AS type_version,
    convert_from(e.state, 'UTF8'::name) AS event,
    c.recorded_at,
    c.actor,
    c.cause,
    c.business_date,
    c.run,
    c.command_id
   FROM (backoffice.events e
     LEFT JOIN LATERAL ( SELECT commits.first_position,
            commits.last_position,
            commits.recorded_at,
            commits.command_id,
            commits.actor,
            commits.run,
            commits.cause,
            commits.business_date
           FROM backoffice.commits
          WHERE (commits.first_position <= e.notification_id)
          ORDER BY commits.first_position DESC
         LIMIT 1) c ON ((c.last_position >= e.notification_id)));

ALTER VIEW backoffice.events_readable OWNER TO backoffice_owner;

CREATE TABLE backoffice.heads (
    stream uuid NOT NULL,
    kind smallint NOT NULL,
    version bigint NOT NULL,
    fold_version integer NOT NULL,
    state bytea NOT NULL
)
WITH (fillfactor='60');

ALTER TABLE backoffice.heads OWNER TO backoffice_owner;

CREATE TABLE backoffice.heartbeats (
    process text NOT NULL,
    beaten_at timestamp with time zone NOT NULL,
    said text NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_threshold='50');

ALTER TABLE backoffice.heartbeats OWNER TO backoffice_owner;

CREATE TABLE backoffice.member_keys (
    owner uuid NOT NULL,
    wrapped bytea,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT a_key_or_a_tombstone CHECK (((wrapped IS NULL) = (erased_at IS NOT NULL)))
);

ALTER TABLE backoffice.member_keys OWNER TO backoffice_owner;

CREATE TABLE backoffice.migration (
    number integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT statement_timestamp() NOT NULL,
    applied_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT migration_number_check CHECK ((number > 0)),
    CONSTRAINT migration_sha256_check CHECK ((sha256 ~ '^[0-9a-f]{64}$'::text))
);

ALTER TABLE backoffice.migration OWNER TO backoffice_owner;

CREATE TABLE backoffice.ogm_blocks (
    job text NOT NULL,
    first bigint NOT NULL,
    count integer NOT NULL,
    CONSTRAINT ogm_blocks_count_check CHECK ((count > 0)),
    CONSTRAINT ogm_blocks_first_check CHECK ((first > 0))
);

ALTER TABLE backoffice.ogm_blocks OWNER TO backoffice_owner;

CREATE TABLE backoffice.ogm_counter (
    one boolean DEFAULT true NOT NULL,
    next bigint NOT NULL,
    CONSTRAINT ogm_counter_next_check CHECK (((next > 0) AND (next <= '10000000000'::bigint))),
    CONSTRAINT ogm_counter_one_check CHECK (one)
);

ALTER TABLE backoffice.ogm_counter OWNER TO backoffice_owner;

CREATE TABLE backoffice.ogm_ranges (
    first bigint NOT NULL,
    count integer NOT NULL,
    run uuid NOT NULL,
    CONSTRAINT ogm_ranges_count_check CHECK ((count > 0))
);

ALTER TABLE backoffice.ogm_ranges OWNER TO backoffice_owner;

CREATE TABLE backoffice.projection_positions (
    projection text NOT NULL,
    version integer NOT NULL,
    "position" bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_threshold='50');

ALTER TABLE backoffice.projection_positions OWNER TO backoffice_owner;

CREATE TABLE backoffice.relay_partitions (
    relay text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    last_sequence bigint NOT NULL,
    CONSTRAINT relay_partitions_partition_check CHECK ((partition >= 0))
)
WITH (fillfactor='50');

ALTER TABLE backoffice.relay_partitions OWNER TO backoffice_owner;

CREATE TABLE backoffice.relay_topics (
    relay text NOT NULL,
    topic text NOT NULL,
    topic_id text NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE backoffice.relay_topics OWNER TO backoffice_owner;

CREATE TABLE backoffice.relays (
    relay text NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text,
    lease_until timestamp with time zone,
    recorded_at timestamp with time zone,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    started_after bigint DEFAULT 0 NOT NULL,
    until bigint,
    waits_for text DEFAULT ''::text NOT NULL,
    waits_since timestamp with time zone,
    rate double precision DEFAULT 0 NOT NULL,
    CONSTRAINT relays_check CHECK ((until >= started_after))
)
WITH (fillfactor='50', autovacuum_vacuum_threshold='50');

ALTER TABLE backoffice.relays OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_approvals (
    run uuid NOT NULL,
    digest text NOT NULL,
    planned_by text NOT NULL,
    approved_by text NOT NULL,
    CONSTRAINT a_second_person CHECK ((lower(btrim(approved_by)) <> lower(btrim(planned_by)))),
    CONSTRAINT run_approvals_approved_by_check CHECK ((approved_by <> ''::text))
);

ALTER TABLE backoffice.run_approvals OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_chunks (
    run uuid NOT NULL,
    chunk integer NOT NULL,
    first_ordinal integer NOT NULL,
    last_ordinal integer NOT NULL,
    worker text,
    done_at timestamp with time zone,
    done integer DEFAULT 0 NOT NULL,
    refused integer DEFAULT 0 NOT NULL,
    parked integer DEFAULT 0 NOT NULL,
    events integer DEFAULT 0 NOT NULL,
    amount_cents bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE backoffice.run_chunks OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_items (
    run uuid NOT NULL,
    ordinal integer NOT NULL,
    stream uuid NOT NULL,
    version integer NOT NULL,
    member_version integer NOT NULL,
    amount_cents bigint NOT NULL,
    decision text NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT run_items_ordinal_check CHECK ((ordinal >= 1))
);

ALTER TABLE backoffice.run_items OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_outcomes (
    run uuid NOT NULL,
    ordinal integer NOT NULL,
    stream uuid NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    CONSTRAINT run_outcomes_outcome_check CHECK ((outcome = ANY (ARRAY['refused'::text, 'parked'::text])))
);

ALTER TABLE backoffice.run_outcomes OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_passed_over (
    run uuid NOT NULL,
    stream uuid NOT NULL,
    reason_no integer NOT NULL
);

ALTER TABLE backoffice.run_passed_over OWNER TO backoffice_owner;

CREATE TABLE backoffice.run_reasons (
    run uuid NOT NULL,
    reason_no integer NOT NULL,
    reason text NOT NULL,
    basis text NOT NULL,
    count integer NOT NULL
);

ALTER TABLE backoffice.run_reasons OWNER TO backoffice_owner;

CREATE TABLE backoffice.runs (
    run uuid NOT NULL,
    job text NOT NULL,
    business_date date NOT NULL,
    round integer NOT NULL,
    planned_by text NOT NULL,
    digest text NOT NULL,
    needs_approval boolean NOT NULL,
    items integer NOT NULL,
    first_ogm bigint NOT NULL,
    follows uuid,
    number bigint NOT NULL,
    CONSTRAINT runs_first_ogm_check CHECK ((first_ogm >= 0)),
    CONSTRAINT runs_items_check CHECK ((items >= 0)),
    CONSTRAINT runs_planned_by_check CHECK ((planned_by <> ''::text)),
    CONSTRAINT runs_round_check CHECK ((round >= 1))
);

ALTER TABLE backoffice.runs OWNER TO backoffice_owner;

ALTER TABLE backoffice.runs ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME backoffice.runs_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE backoffice.unique_marks (
    kind text NOT NULL,
    digest bytea NOT NULL,
    stream uuid NOT NULL,
    CONSTRAINT unique_marks_digest_check CHECK ((length(digest) = 32))
);

ALTER TABLE backoffice.unique_marks OWNER TO backoffice_owner;

CREATE TABLE backoffice.waiting_files (
    digest text NOT NULL,
    account uuid NOT NULL,
    sealed bytea NOT NULL,
    kept_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT waiting_files_digest_check CHECK ((digest ~ '^[0-9a-f]{64}$'::text))
);

ALTER TABLE backoffice.waiting_files OWNER TO backoffice_owner;

ALTER TABLE ONLY backoffice.events ALTER COLUMN notification_id SET DEFAULT nextval('backoffice.events_notification_id_seq'::regclass);

ALTER TABLE ONLY backoffice.answers
    ADD CONSTRAINT answers_pkey PRIMARY KEY (command_id);

ALTER TABLE ONLY backoffice.commits
    ADD CONSTRAINT commits_pkey PRIMARY KEY (first_position);

ALTER TABLE ONLY backoffice.consumer_offsets
    ADD CONSTRAINT consumer_offsets_pkey PRIMARY KEY (consumer, topic, partition);

ALTER TABLE ONLY backoffice.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (number);

ALTER TABLE ONLY backoffice.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (originator_id, originator_version);

ALTER TABLE ONLY backoffice.heads
    ADD CONSTRAINT heads_pkey PRIMARY KEY (stream);

ALTER TABLE ONLY backoffice.heartbeats
    ADD CONSTRAINT heartbeats_pkey PRIMARY KEY (process);

ALTER TABLE ONLY backoffice.member_keys
    ADD CONSTRAINT member_keys_pkey PRIMARY KEY (owner);

ALTER TABLE ONLY backoffice.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (number);

ALTER TABLE ONLY backoffice.ogm_blocks
    ADD CONSTRAINT ogm_blocks_pkey PRIMARY KEY (job);

ALTER TABLE ONLY backoffice.ogm_counter
    ADD CONSTRAINT ogm_counter_pkey PRIMARY KEY (one);

ALTER TABLE ONLY backoffice.ogm_ranges
    ADD CONSTRAINT ogm_ranges_pkey PRIMARY KEY (first);

ALTER TABLE ONLY backoffice.projection_positions
    ADD CONSTRAINT projection_positions_pkey PRIMARY KEY (projection);

ALTER TABLE ONLY backoffice.relay_partitions
    ADD CONSTRAINT relay_partitions_pkey PRIMARY KEY (relay, topic, partition);

ALTER TABLE ONLY backoffice.relay_topics
    ADD CONSTRAINT relay_topics_pkey PRIMARY KEY (relay, topic);

ALTER TABLE ONLY backoffice.relays
    ADD CONSTRAINT relays_pkey PRIMARY KEY (relay);

ALTER TABLE ONLY backoffice.run_approvals
    ADD CONSTRAINT run_approvals_pkey PRIMARY KEY (run);

ALTER TABLE ONLY backoffice.run_chunks
    ADD CONSTRAINT run_chunks_pkey PRIMARY KEY (run, chunk);

ALTER TABLE ONLY backoffice.run_items
    ADD CONSTRAINT run_items_pkey PRIMARY KEY (run, ordinal);

ALTER TABLE ONLY backoffice.run_outcomes
    ADD CONSTRAINT run_outcomes_pkey PRIMARY KEY (run, ordinal);

ALTER TABLE ONLY backoffice.run_passed_over
    ADD CONSTRAINT run_passed_over_pkey PRIMARY KEY (run, stream);

ALTER TABLE ONLY backoffice.run_reasons
    ADD CONSTRAINT run_reasons_pkey PRIMARY KEY (run, reason_no);

ALTER TABLE ONLY backoffice.runs
    ADD CONSTRAINT runs_job_business_date_round_key UNIQUE (job, business_date, round);

ALTER TABLE ONLY backoffice.runs
    ADD CONSTRAINT runs_number_key UNIQUE (number);

ALTER TABLE ONLY backoffice.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run);

ALTER TABLE ONLY backoffice.runs
    ADD CONSTRAINT runs_run_planned_by_digest_key UNIQUE (run, planned_by, digest);

ALTER TABLE ONLY backoffice.unique_marks
    ADD CONSTRAINT unique_marks_pkey PRIMARY KEY (kind, digest);

ALTER TABLE ONLY backoffice.waiting_files
    ADD CONSTRAINT waiting_files_pkey PRIMARY KEY (digest);

CREATE INDEX commits_command_idx ON backoffice.commits USING btree (command_id);

CREATE INDEX commits_last_position_idx ON backoffice.commits USING btree (last_position);

CREATE INDEX commits_recorded_at_idx ON backoffice.commits USING brin (recorded_at);

CREATE INDEX commits_run_idx ON backoffice.commits USING btree (run) WHERE (run IS NOT NULL);

CREATE INDEX dead_letters_sequence_idx ON backoffice.dead_letters USING btree (consumer, topic, partition, sequence) WHERE (sequence IS NOT NULL);

CREATE INDEX dead_letters_waiting_idx ON backoffice.dead_letters USING btree (consumer, topic, key) WHERE (state = 'waiting'::text);

CREATE INDEX events_first_of_kind_idx ON backoffice.events USING btree (get_byte(uuid_send(originator_id), 13), originator_id) WHERE (originator_version = 1);

CREATE UNIQUE INDEX events_notification_id_idx ON backoffice.events USING btree (notification_id);

CREATE UNIQUE INDEX run_items_stream ON backoffice.run_items USING btree (run, stream);

CREATE INDEX waiting_files_account_idx ON backoffice.waiting_files USING btree (account, kept_at);

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.answers FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.commits FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.events FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.ogm_ranges FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.run_approvals FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.run_items FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.run_outcomes FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.run_passed_over FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.run_reasons FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON backoffice.runs FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

CREATE TRIGGER erase_only BEFORE UPDATE ON backoffice.member_keys FOR EACH ROW EXECUTE FUNCTION backoffice.keep_tombstone();

CREATE TRIGGER no_removal BEFORE DELETE OR TRUNCATE ON backoffice.member_keys FOR EACH STATEMENT EXECUTE FUNCTION backoffice.refuse_change();

ALTER TABLE ONLY backoffice.ogm_ranges
    ADD CONSTRAINT ogm_ranges_run_fkey FOREIGN KEY (run) REFERENCES backoffice.runs(run);

ALTER TABLE ONLY backoffice.relay_partitions
    ADD CONSTRAINT relay_partitions_relay_fkey FOREIGN KEY (relay) REFERENCES backoffice.relays(relay);

ALTER TABLE ONLY backoffice.relay_topics
    ADD CONSTRAINT relay_topics_relay_fkey FOREIGN KEY (relay) REFERENCES backoffice.relays(relay);

ALTER TABLE ONLY backoffice.run_approvals
    ADD CONSTRAINT run_approvals_run_planned_by_digest_fkey FOREIGN KEY (run, planned_by, digest) REFERENCES backoffice.runs(run, planned_by, digest);

ALTER TABLE ONLY backoffice.run_chunks
    ADD CONSTRAINT run_chunks_run_fkey FOREIGN KEY (run) REFERENCES backoffice.runs(run);

ALTER TABLE ONLY backoffice.run_reasons
    ADD CONSTRAINT run_reasons_run_fkey FOREIGN KEY (run) REFERENCES backoffice.runs(run);

ALTER TABLE ONLY backoffice.runs
    ADD CONSTRAINT runs_follows_fkey FOREIGN KEY (follows) REFERENCES backoffice.runs(run);

GRANT USAGE ON SCHEMA backoffice TO backoffice_writer;
GRANT USAGE ON SCHEMA backoffice TO backoffice_reader;

REVOKE ALL ON FUNCTION backoffice.keep_tombstone() FROM PUBLIC;

REVOKE ALL ON FUNCTION backoffice.refuse_change() FROM PUBLIC;

GRANT SELECT ON TABLE backoffice.answers TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.answers TO backoffice_reader;

GRANT INSERT(command_id) ON TABLE backoffice.answers TO backoffice_writer;

GRANT INSERT(digest) ON TABLE backoffice.answers TO backoffice_writer;

GRANT INSERT(outcome) ON TABLE backoffice.answers TO backoffice_writer;

GRANT INSERT(detail) ON TABLE backoffice.answers TO backoffice_writer;

GRANT SELECT,INSERT ON TABLE backoffice.commits TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.commits TO backoffice_reader;

GRANT SELECT,INSERT,UPDATE ON TABLE backoffice.consumer_offsets TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.consumer_offsets TO backoffice_reader;

GRANT SELECT,INSERT,UPDATE ON TABLE backoffice.dead_letters TO backoffice_writer;

GRANT SELECT ON TABLE backoffice.events TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.events TO backoffice_reader;

GRANT INSERT(originator_id) ON TABLE backoffice.events TO backoffice_writer;

GRANT INSERT(originator_version) ON TABLE backoffice.events TO backoffice_writer;

GRANT INSERT(topic) ON TABLE backoffice.events TO backoffice_writer;

GRANT INSERT(state) ON TABLE backoffice.events TO backoffice_writer;

GRANT SELECT,USAGE ON SEQUENCE backoffice.events_notification_id_seq TO backoffice_writer;
GRANT SELECT ON SEQUENCE backoffice.events_notification_id_seq TO backoffice_reader;

GRANT SELECT ON TABLE backoffice.events_readable TO backoffice_reader;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE backoffice.heads TO backoffice_writer;

GRANT SELECT,INSERT,UPDATE ON TABLE backoffice.heartbeats TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.heartbeats TO backoffice_reader;

GRANT SELECT ON TABLE backoffice.member_keys TO backoffice_writer;

GRANT INSERT(owner) ON TABLE backoffice.member_keys TO backoffice_writer;

GRANT INSERT(wrapped) ON TABLE backoffice.member_keys TO backoffice_writer;

GRANT SELECT ON TABLE backoffice.migration TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.migration TO backoffice_reader;

GRANT SELECT,INSERT,DELETE ON TABLE backoffice.ogm_blocks TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.ogm_blocks TO backoffice_reader;

GRANT SELECT ON TABLE backoffice.ogm_counter TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.ogm_counter TO backoffice_reader;

GRANT UPDATE(next) ON TABLE backoffice.ogm_counter TO backoffice_writer;

GRANT SELECT,INSERT ON TABLE backoffice.ogm_ranges TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.ogm_ranges TO backoffice_reader;

GRANT SELECT,INSERT,UPDATE ON TABLE backoffice.relay_partitions TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.relay_partitions TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.relay_topics TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.relay_topics TO backoffice_reader;

GRANT SELECT,INSERT,UPDATE ON TABLE backoffice.relays TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.relays TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.run_approvals TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_approvals TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.run_chunks TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_chunks TO backoffice_reader;

GRANT UPDATE(worker) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(done_at) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(done) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(refused) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(parked) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(events) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT UPDATE(amount_cents) ON TABLE backoffice.run_chunks TO backoffice_writer;

GRANT SELECT,INSERT ON TABLE backoffice.run_items TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_items TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.run_outcomes TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_outcomes TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.run_passed_over TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_passed_over TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.run_reasons TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.run_reasons TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.runs TO backoffice_writer;
GRANT SELECT ON TABLE backoffice.runs TO backoffice_reader;

GRANT SELECT,INSERT ON TABLE backoffice.unique_marks TO backoffice_writer;

GRANT SELECT,DELETE ON TABLE backoffice.waiting_files TO backoffice_writer;

GRANT INSERT(digest) ON TABLE backoffice.waiting_files TO backoffice_writer;

GRANT INSERT(account) ON TABLE backoffice.waiting_files TO backoffice_writer;

GRANT INSERT(sealed) ON TABLE backoffice.waiting_files TO backoffice_writer;

ALTER DEFAULT PRIVILEGES FOR ROLE backoffice_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
