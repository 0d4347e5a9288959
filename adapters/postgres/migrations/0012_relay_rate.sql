-- How fast the relay publishes: events a second over about the last minute, as of moved_at; what is older fades away.
ALTER TABLE relays ADD COLUMN rate double precision NOT NULL DEFAULT 0;
