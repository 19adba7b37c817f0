-- Parking: the events that a projection could not apply, and those that wait behind them. Their records are letters in
-- Kafka; here stands what keeps the order of their keys.

-- Events parked one after the other since one was last applied, of all instances together: at a limit the brake is
-- open. Written seldom, but in every batch while it is above zero: the free space keeps such an update on its page.
ALTER TABLE projections
    ADD COLUMN failures_in_a_row int NOT NULL DEFAULT 0 CHECK (failures_in_a_row >= 0),
    SET (fillfactor = 50);

-- What stands for a key in an index, whose entries are limited to a third of a page: the key itself, or its hash.
CREATE FUNCTION millrace_sequence(key bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN octet_length(key) <= 255 THEN key ELSE sha256(key) END;

CREATE TABLE parked_events (
    -- The order within a sequence, whose rows are inserted one after the other, by the owner of the partition.
    position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    projection_id smallint NOT NULL REFERENCES projections (id) ON DELETE CASCADE,
    -- Where the record was first.
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    -- What later events are blocked by; NULL: nothing is.
    sequence bytea,
    event_id uuid,
    event_day date,
    reason text NOT NULL CHECK (reason IN ('failed', 'blocked', 'discarded')),
    error_class text,
    -- The record's value when the broker does not take a letter of that size.
    kept_value bytea,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (projection_id, topic, partition, record_offset)
);

CREATE INDEX parked_events_sequence ON parked_events (projection_id, topic, sequence, position);

-- The first rows of sequences, by position: `most` of each. A function for its settings: while the table is small the
-- planner would rather read all of it for each key, by the primary key too, and still does so with the plan it has when
-- the table is large. The index by sequence is the only one that needs no sorting.
CREATE FUNCTION millrace_first_parked(projection smallint, topics text[], keys bytea[], most int[])
RETURNS TABLE (n bigint, origin_partition int, origin_offset bigint)
LANGUAGE plpgsql STABLE ROWS 100
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
BEGIN
    RETURN QUERY
    SELECT wanted.n, first.partition, first.record_offset
    FROM unnest(topics, keys, most) WITH ORDINALITY AS wanted (topic, key, most, n)
    CROSS JOIN LATERAL (
        SELECT p.partition, p.record_offset, p.position FROM parked_events AS p
        WHERE p.projection_id = projection AND p.topic = wanted.topic
            AND p.sequence = millrace_sequence(wanted.key)
        ORDER BY p.position LIMIT wanted.most
    ) AS first
    ORDER BY wanted.n, first.position;
END
$$;
