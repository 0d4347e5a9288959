-- What a relay may not forget over a restart: which topics it filled (a topic made again under the same name has another
-- id, and nothing of what was sent), what it waits for, and for one that gives the past again: from where and until where.
ALTER TABLE relays ADD COLUMN started_after bigint NOT NULL DEFAULT 0;
ALTER TABLE relays ADD COLUMN until bigint CHECK (until >= started_after);
ALTER TABLE relays ADD COLUMN waits_for text NOT NULL DEFAULT '';
ALTER TABLE relays ADD COLUMN waits_since timestamptz;

CREATE TABLE relay_topics (
    relay    text NOT NULL REFERENCES relays,
    topic    text NOT NULL,
    topic_id text NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (relay, topic)
);

GRANT SELECT, INSERT ON relay_topics TO backoffice_writer;
GRANT SELECT ON relay_topics TO backoffice_reader;
