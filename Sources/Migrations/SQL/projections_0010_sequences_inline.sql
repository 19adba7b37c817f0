-- PostgreSQL does not inline millrace_sequence, because it is STRICT and contains CASE. A call costs 3 microseconds, and
-- there was one for each key that was looked up. Here is its text.
CREATE OR REPLACE FUNCTION millrace_first_parked(projection smallint, topics text[], keys bytea[], most int[])
RETURNS TABLE (n bigint, origin_partition int, origin_offset bigint, origin_timestamp bigint)
LANGUAGE plpgsql STABLE ROWS 100
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT wanted.n, first.partition, first.record_offset, first.record_timestamp
    FROM unnest(topics, keys, most) WITH ORDINALITY AS wanted (topic, key, most, n)
    CROSS JOIN LATERAL (
        SELECT p.partition, p.record_offset, p.record_timestamp, p.position FROM parked_events AS p
        WHERE p.projection_id = projection AND p.topic = wanted.topic
            AND p.sequence = CASE WHEN octet_length(wanted.key) <= 255 THEN wanted.key ELSE sha256(wanted.key) END
        ORDER BY p.position LIMIT wanted.most
    ) AS first
    ORDER BY wanted.n, first.position;
END
$$;
