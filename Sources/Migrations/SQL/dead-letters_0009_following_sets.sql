-- The letters of a sequence behind those of it that are under way: what follows a set before all of it is answered.

COMMENT ON COLUMN dead_letters.next_attempt_at IS
    'infinity: somebody asked for it, and it is sent when the letters before it in its sequence are over; '
    '-infinity: it may be sent behind those of its sequence that are under way';

-- As dead_letters_open_of, behind a number; 0 for all. A row is compared with the place to begin at, so that the index is
-- entered there.
CREATE FUNCTION dead_letters_open_behind(
    of_consumer text, of_topic text, of_sequence bytea, behind bigint, most bigint)
RETURNS TABLE (letter_id bigint, state text, reason text, set_size int, next_attempt_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT l.letter_id, l.state, l.reason, l.set_size, l.next_attempt_at FROM dead_letters AS l
    WHERE l.consumer = of_consumer AND l.origin_topic = of_topic
        AND (l.sequence, l.letter_id) > (of_sequence, behind) AND l.sequence <= of_sequence
        AND l.state IN ('pending', 'retrying')
    ORDER BY l.sequence, l.letter_id LIMIT most;
END $$;

-- The last letter of a sequence that is under way; 0 when none is.
CREATE FUNCTION dead_letters_last_under_way_of(of_consumer text, of_topic text, of_sequence bytea) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
    last_id bigint;
BEGIN
    SELECT l.letter_id INTO last_id FROM dead_letters AS l
    WHERE l.consumer = of_consumer AND l.origin_topic = of_topic AND l.sequence BETWEEN of_sequence AND of_sequence
        AND l.state = 'retrying'
    ORDER BY l.sequence DESC, l.letter_id DESC LIMIT 1;
    RETURN coalesce(last_id, 0);
END $$;
