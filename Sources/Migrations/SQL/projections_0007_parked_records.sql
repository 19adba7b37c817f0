-- A topic that was deleted and made again has other records at the same offsets. What is parked of the one before is told
-- from them by its record's timestamp, in milliseconds, as letters and their retries name it. NULL: not known, as of rows
-- from before this; it is taken for the same record.

ALTER TABLE parked_events ADD COLUMN record_timestamp bigint, DROP CONSTRAINT parked_events_pkey;
CREATE UNIQUE INDEX parked_events_record ON parked_events (
    projection_id, topic, partition, record_offset, coalesce(record_timestamp, -1));

DROP FUNCTION millrace_first_parked(smallint, text[], bytea[], int[]);
CREATE FUNCTION millrace_first_parked(projection smallint, topics text[], keys bytea[], most int[])
RETURNS TABLE (n bigint, origin_partition int, origin_offset bigint, origin_timestamp bigint)
LANGUAGE plpgsql STABLE ROWS 100
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
BEGIN
    RETURN QUERY
    SELECT wanted.n, first.partition, first.record_offset, first.record_timestamp
    FROM unnest(topics, keys, most) WITH ORDINALITY AS wanted (topic, key, most, n)
    CROSS JOIN LATERAL (
        SELECT p.partition, p.record_offset, p.record_timestamp, p.position FROM parked_events AS p
        WHERE p.projection_id = projection AND p.topic = wanted.topic
            AND p.sequence = millrace_sequence(wanted.key)
        ORDER BY p.position LIMIT wanted.most
    ) AS first
    ORDER BY wanted.n, first.position;
END
$$;
