-- Who may do what. Run as the login (a superuser, or the owner of the database); everything after this file is run as
-- backoffice_owner. The roles themselves belong to the whole server, and who may connect to the database stands outside
-- of it: a copy or a restored back-up lacks both. adapters/postgres/roles.py sees to them at every migration.

-- Large objects would be a place that no grant of ours looks at. (Only a superuser can close it; doctor looks.)
DO $$
DECLARE
    door text;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE ALL ON SCHEMA public FROM PUBLIC;
        FOREACH door IN ARRAY ARRAY[
            'lo_creat(integer)', 'lo_create(oid)', 'lo_from_bytea(oid, bytea)', 'lo_import(text)',
            'lo_import(text, oid)', 'lo_put(oid, bigint, bytea)', 'lo_export(oid, text)'
        ]
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC', door);
        END LOOP;
    END IF;
END
$$;

CREATE SCHEMA backoffice AUTHORIZATION backoffice_owner;

SET LOCAL ROLE backoffice_owner;

GRANT USAGE ON SCHEMA backoffice TO backoffice_writer, backoffice_reader;

-- A function may be called only by whom it is granted to.
ALTER DEFAULT PRIVILEGES FOR ROLE backoffice_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- What the schema is: one row per file of adapters/postgres/migrations, with what it held when it was applied.
CREATE TABLE backoffice.migration (
    number     integer     PRIMARY KEY CHECK (number > 0),
    name       text        NOT NULL,
    sha256     text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz NOT NULL DEFAULT statement_timestamp(),
    applied_by text        NOT NULL DEFAULT session_user
);
GRANT SELECT ON backoffice.migration TO backoffice_writer, backoffice_reader;
