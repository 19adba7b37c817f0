-- The keys that parked events block, `most` of them. One probe of the index a key, however many rows it has: a projection
-- asks this whenever it gets partitions, and 100,000 rows behind one event must not hold it up.
CREATE FUNCTION millrace_blocked_keys(projection smallint, most bigint)
RETURNS TABLE (blocked_topic text, blocked_sequence bytea)
LANGUAGE plpgsql STABLE ROWS 1000
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE blocked AS (
        (
            SELECT p.topic, p.sequence FROM parked_events AS p
            WHERE p.projection_id = projection AND p.sequence IS NOT NULL
            ORDER BY p.projection_id, p.topic, p.sequence LIMIT 1
        )
        UNION ALL
        SELECT next.topic, next.sequence
        FROM blocked CROSS JOIN LATERAL (
            SELECT p.topic, p.sequence FROM parked_events AS p
            WHERE p.projection_id = projection AND (p.topic, p.sequence) > (blocked.topic, blocked.sequence)
                AND p.sequence IS NOT NULL
            ORDER BY p.projection_id, p.topic, p.sequence LIMIT 1
        ) AS next
    )
    SELECT topic, sequence FROM blocked LIMIT most;
END
$$;

-- What cannot be planned without a sort counts as very dear, and what is dear is compiled, which takes 30 ms a call.
ALTER FUNCTION millrace_first_parked(smallint, text[], bytea[], int[]) SET jit = off;
