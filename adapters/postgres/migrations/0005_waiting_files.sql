-- Bank files whose statement came before its turn: kept whole and sealed until the one they wait for has been taken.
CREATE TABLE waiting_files (
    digest  text  PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),   -- of the canonical content
    account uuid  NOT NULL,                                        -- our bank account's stream
    sealed  bytea NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX waiting_files_account_idx ON waiting_files (account, kept_at);
GRANT SELECT, INSERT (digest, account, sealed) ON waiting_files TO backoffice_writer;
