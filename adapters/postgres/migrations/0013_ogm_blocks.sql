-- Payment numbers set aside for the plan of a job that is being made: the counter is free again at once. Only one plan of
-- a job is made at a time; when its planner dies, the next one of the job finds the same numbers. The row goes when a plan
-- is registered; what it did not use goes back, unless somebody took a number meanwhile.
CREATE TABLE ogm_blocks (
    job   text PRIMARY KEY,
    first bigint NOT NULL CHECK (first > 0),
    count integer NOT NULL CHECK (count > 0)
);
GRANT SELECT, INSERT, DELETE ON ogm_blocks TO backoffice_writer;
GRANT SELECT ON ogm_blocks TO backoffice_reader;
