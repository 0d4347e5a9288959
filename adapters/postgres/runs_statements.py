# ruff: noqa: S608 - only constants of this module are put into statements, never a value
"""
The statements of `adapters.postgres.runs`.
"""

from __future__ import annotations

from typing import Final, LiteralString

_COLUMNS: Final[LiteralString] = (
    "run, job, business_date, round, planned_by, digest, needs_approval, items, first_ogm, follows"
)
_ITEM: Final[LiteralString] = "ordinal, stream, version, member_version, amount_cents, decision, digest"

# --- Planning --------------------------------------------------------------------------------------------------------

PLAN_LOCK: Final[LiteralString] = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
OGM_BLOCK: Final[LiteralString] = "SELECT first FROM ogm_blocks WHERE job = %s"
SET_OGMS_ASIDE: Final[LiteralString] = """
    WITH moved AS (UPDATE ogm_counter SET next = next + %(count)s RETURNING next - %(count)s AS first)
    INSERT INTO ogm_blocks (job, first, count) SELECT %(job)s, first, %(count)s FROM moved RETURNING first"""
END_OGM_BLOCK: Final[LiteralString] = (
    "DELETE FROM ogm_blocks WHERE job = %s AND first = %s AND count >= %s RETURNING first + count"
)
#: What a plan did not use goes back, unless somebody took a number meanwhile: then it is lost, and does no harm.
GIVE_OGMS_BACK: Final[LiteralString] = "UPDATE ogm_counter SET next = %s WHERE next = %s"
ADD_OGM_RANGE: Final[LiteralString] = "INSERT INTO ogm_ranges (first, count, run) VALUES (%s, %s, %s)"
REGISTER: Final[LiteralString] = f"INSERT INTO runs ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
COPY_ITEMS: Final[LiteralString] = f"COPY run_items (run, {_ITEM}) FROM STDIN (FORMAT binary)"
COPY_PASSED_OVER: Final[LiteralString] = "COPY run_passed_over (run, stream, reason_no) FROM STDIN (FORMAT binary)"
ADD_REASON: Final[LiteralString] = (
    "INSERT INTO run_reasons (run, reason_no, reason, basis, count) VALUES (%s, %s, %s, %s, %s)"
)
APPROVE: Final[LiteralString] = (
    "INSERT INTO run_approvals (run, digest, planned_by, approved_by) VALUES (%s, %s, %s, %s)"
)

# --- Execution -------------------------------------------------------------------------------------------------------

COPY_CHUNKS: Final[LiteralString] = (
    "COPY run_chunks (run, chunk, first_ordinal, last_ordinal) FROM STDIN (FORMAT binary)"
)
OPEN_CHUNK: Final[LiteralString] = """
    SELECT chunk FROM run_chunks WHERE run = %s AND done_at IS NULL
    ORDER BY chunk LIMIT 1 FOR UPDATE SKIP LOCKED"""
# A worker that hangs inside its transaction is ended by the database, so that its chunk is free again.
LEASE: Final[LiteralString] = """
    SELECT set_config('idle_in_transaction_session_timeout', %(lease)s, true),
           set_config('transaction_timeout', %(lease)s, true)"""
CLAIM: Final[LiteralString] = """
    SELECT chunk, first_ordinal, last_ordinal FROM run_chunks WHERE run = %s AND chunk = %s AND done_at IS NULL
    FOR UPDATE SKIP LOCKED"""
CHUNK_ITEMS: Final[LiteralString] = (
    f"SELECT {_ITEM} FROM run_items WHERE run = %s AND ordinal BETWEEN %s AND %s ORDER BY ordinal"
)
# From the events themselves: the key of the event table gives the last version of a stream in one step.
VERSIONS: Final[LiteralString] = """
    SELECT coalesce(last.version, 0)
    FROM unnest(%b::uuid[]) WITH ORDINALITY AS wanted (stream, place)
    LEFT JOIN LATERAL (
        SELECT originator_version AS version FROM events WHERE originator_id = wanted.stream
        ORDER BY originator_version DESC LIMIT 1
    ) AS last ON true
    ORDER BY wanted.place"""
ADD_OUTCOME: Final[LiteralString] = (
    "INSERT INTO run_outcomes (run, ordinal, stream, outcome, reason, detail) VALUES (%s, %s, %s, %s, %s, %s)"
)
FINISH_CHUNK: Final[LiteralString] = """
    UPDATE run_chunks SET worker = %s, done_at = clock_timestamp(), done = %s, refused = %s, parked = %s, events = %s,
           amount_cents = %s
    WHERE run = %s AND chunk = %s AND done_at IS NULL"""

# --- Reading ---------------------------------------------------------------------------------------------------------

LAST_OF_JOB: Final[LiteralString] = f"SELECT {_COLUMNS} FROM runs WHERE job = %s ORDER BY number DESC LIMIT 1"
OF_DATE: Final[LiteralString] = f"SELECT {_COLUMNS} FROM runs WHERE job = %s AND business_date = %s ORDER BY round"
BETWEEN: Final[LiteralString] = f"SELECT {_COLUMNS} FROM runs WHERE business_date BETWEEN %s AND %s ORDER BY number"
BY_ID: Final[LiteralString] = f"SELECT {_COLUMNS} FROM runs WHERE run = %s"
BEFORE: Final[LiteralString] = f"""
    SELECT {_COLUMNS} FROM runs
    WHERE job = (SELECT job FROM runs WHERE run = %(run)s)
      AND business_date < (SELECT business_date FROM runs WHERE run = %(run)s)
    ORDER BY business_date DESC, round LIMIT 1"""
TOTALS: Final[LiteralString] = """
    SELECT count(*)::int AS chunks, count(done_at)::int AS chunks_done, coalesce(sum(done), 0)::int AS done,
           coalesce(sum(refused), 0)::int AS refused, coalesce(sum(parked), 0)::int AS parked,
           coalesce(sum(events), 0)::int AS events, coalesce(sum(amount_cents), 0)::bigint AS amount_cents
    FROM run_chunks WHERE run = %s"""
ITEMS: Final[LiteralString] = f"SELECT {_ITEM} FROM run_items WHERE run = %s AND ordinal > %s ORDER BY ordinal LIMIT %s"
# What `application.runs.digest.item_digest` takes, field by field, of as many rows as make a page.
ITEM_DIGESTS: Final[LiteralString] = """
    SELECT max(ordinal), string_agg(
        sha256(int4send(ordinal) || uuid_send(stream) || int4send(version) || int4send(member_version)
               || int8send(amount_cents) || convert_to(decision, 'UTF8')), ''::bytea ORDER BY ordinal)
    FROM (SELECT * FROM run_items WHERE run = %s AND ordinal > %s ORDER BY ordinal LIMIT %s) AS page"""
PASSED_OVER_FACTS: Final[LiteralString] = """
    SELECT (array_agg(stream ORDER BY stream DESC))[1],
           string_agg(uuid_send(stream) || int4send(reason_no), ''::bytea ORDER BY stream)
    FROM (
        SELECT stream, reason_no FROM run_passed_over
        WHERE run = %(run)s AND stream > coalesce(%(after)s, '00000000-0000-0000-0000-000000000000'::uuid)
        ORDER BY stream LIMIT %(limit)s
    ) AS page"""
ITEMS_OF: Final[LiteralString] = f"SELECT {_ITEM} FROM run_items WHERE run = %s AND stream = %s"
LARGEST: Final[LiteralString] = (
    f"SELECT {_ITEM} FROM run_items WHERE run = %s ORDER BY amount_cents DESC, ordinal LIMIT %s"
)
PASSED_OVER: Final[LiteralString] = """
    SELECT stream, reason_no FROM run_passed_over
    WHERE run = %(run)s AND stream > coalesce(%(after)s, '00000000-0000-0000-0000-000000000000'::uuid)
    ORDER BY stream LIMIT %(limit)s"""
PASSED_OVER_OF: Final[LiteralString] = "SELECT stream, reason_no FROM run_passed_over WHERE run = %s AND stream = %s"
REASONS: Final[LiteralString] = (
    "SELECT reason_no, reason, basis, count FROM run_reasons WHERE run = %s ORDER BY reason_no"
)
OUTCOMES: Final[LiteralString] = """
    SELECT ordinal, stream, outcome, reason, detail FROM run_outcomes
    WHERE run = %(run)s AND ordinal > %(after)s ORDER BY ordinal LIMIT %(limit)s"""
OUTCOMES_OF: Final[LiteralString] = """
    SELECT ordinal, stream, outcome, reason, detail FROM run_outcomes WHERE run = %s AND ordinal = ANY(%s)"""
OUTCOME_REASONS: Final[LiteralString] = (
    "SELECT outcome, reason, count(*)::int FROM run_outcomes WHERE run = %s GROUP BY outcome, reason ORDER BY 1, 2"
)
TO_FOLLOW_UP: Final[LiteralString] = """
    SELECT stream FROM (
        SELECT stream FROM run_outcomes WHERE run = %(run)s
        UNION ALL
        SELECT p.stream FROM run_passed_over p JOIN run_reasons r USING (run, reason_no)
        WHERE p.run = %(run)s AND r.reason LIKE 'undecided:%%'
    ) AS left_over
    WHERE stream > coalesce(%(after)s, '00000000-0000-0000-0000-000000000000'::uuid)
    ORDER BY stream LIMIT %(limit)s"""
NOT_DONE_CENTS: Final[LiteralString] = """
    SELECT coalesce(sum(amount_cents), 0)::bigint
    FROM run_outcomes JOIN run_items USING (run, ordinal) WHERE run = %s"""
DIFFERENCE: Final[LiteralString] = """
    WITH now AS (SELECT stream, amount_cents FROM run_items WHERE run = %(run)s),
         before AS (SELECT stream, amount_cents FROM run_items WHERE run = %(previous)s)
    SELECT count(before.stream)::int, coalesce(sum(before.amount_cents), 0)::bigint,
           (count(*) FILTER (WHERE before.stream IS NULL))::int,
           (count(*) FILTER (WHERE now.stream IS NULL))::int,
           (count(*) FILTER (WHERE now.amount_cents <> before.amount_cents))::int
    FROM now FULL JOIN before USING (stream)"""

# The kind of a stream is the 14th byte of its id; 96 is a run, whose own events are not what it did to others.
WRITTEN: Final[LiteralString] = """
    SELECT count(*),
           coalesce(sum((convert_from(events.state, 'UTF8')::jsonb ->> counted.field)::bigint)
                    FILTER (WHERE counted.field IS NOT NULL), 0)::bigint
    FROM commits
    JOIN events ON events.notification_id BETWEEN commits.first_position AND commits.last_position
    LEFT JOIN unnest(%(types)s::text[], %(fields)s::text[]) AS counted (type, field)
      ON counted.type = split_part(events.topic, '/', 1)
    WHERE commits.run = %(run)s AND get_byte(uuid_send(events.originator_id), 13) <> 96"""

# --- The alarm clock -------------------------------------------------------------------------------------------------

TRY_ALARM: Final[LiteralString] = "SELECT pg_try_advisory_lock(hashtextextended('the alarm clock', 0))"
STOP_ALARM: Final[LiteralString] = "SELECT pg_advisory_unlock(hashtextextended('the alarm clock', 0))"
