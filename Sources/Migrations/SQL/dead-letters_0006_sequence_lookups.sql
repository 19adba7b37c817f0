-- The letters of one sequence, open or under way, in their order: `most` of them, NULL for all.
--
-- A sequence may have one letter or a hundred thousand, and the planner takes an average. Behind one long sequence it
-- expects a long one everywhere, and walks through all letters in the order of their numbers to meet its first one; where
-- it knows nothing yet, it expects a single letter of the consumer and sorts all of them. So nothing may be sorted, and
-- the sequence is compared as a range from itself to itself, which the planner does not take for a constant: of all
-- indexes only one has the order of (sequence, number).

CREATE FUNCTION dead_letters_open_of(of_consumer text, of_topic text, of_sequence bytea, most bigint)
RETURNS TABLE (letter_id bigint, state text, reason text, set_size int, next_attempt_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT l.letter_id, l.state, l.reason, l.set_size, l.next_attempt_at FROM dead_letters AS l
    WHERE l.consumer = of_consumer AND l.origin_topic = of_topic AND l.sequence BETWEEN of_sequence AND of_sequence
        AND l.state IN ('pending', 'retrying')
    ORDER BY l.sequence, l.letter_id LIMIT most;
END $$;

-- In the order of the numbers, as the function below answers.
DROP INDEX dead_letters_under_way;
CREATE INDEX dead_letters_under_way ON dead_letters (consumer, origin_topic, sequence, letter_id)
    WHERE state = 'retrying' AND sequence IS NOT NULL;

CREATE FUNCTION dead_letters_under_way_of(of_consumer text, of_topic text, of_sequence bytea, most bigint)
RETURNS TABLE (letter_id bigint)
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT l.letter_id FROM dead_letters AS l
    WHERE l.consumer = of_consumer AND l.origin_topic = of_topic AND l.sequence BETWEEN of_sequence AND of_sequence
        AND l.state = 'retrying'
    ORDER BY l.sequence, l.letter_id LIMIT most;
END $$;
