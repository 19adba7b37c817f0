-- What was done for each letter is done for all letters of a statement.

-- The first open letter of each of these sequences, in their order; NULL where there is none. It finds them like
-- dead_letters_open_of. A call of a function with settings costs more than the lookup itself, and a handler that stores new
-- letters looks up nearly as many sequences as it stores letters.
CREATE FUNCTION dead_letters_first_of(of_consumers text[], of_topics text[], of_sequences bytea[])
RETURNS TABLE (letter_id bigint, state text, reason text, next_attempt_at timestamptz)
LANGUAGE plpgsql STABLE ROWS 100 SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
    RETURN QUERY
    SELECT first.letter_id, first.state, first.reason, first.next_attempt_at
    FROM unnest(of_consumers, of_topics, of_sequences) WITH ORDINALITY AS wanted (consumer, topic, sequence, place)
    LEFT JOIN LATERAL (
        SELECT l.letter_id, l.state, l.reason, l.next_attempt_at FROM dead_letters AS l
        WHERE l.consumer = wanted.consumer AND l.origin_topic = wanted.topic
            AND l.sequence BETWEEN wanted.sequence AND wanted.sequence AND l.state IN ('pending', 'retrying')
        ORDER BY l.sequence, l.letter_id LIMIT 1
    ) AS first ON true
    ORDER BY wanted.place;
END $$;

-- A trigger for each row was called for each letter that was resolved. Nearly none of them was corrected.
DROP TRIGGER dead_letter_decided ON dead_letters;
DROP FUNCTION dead_letter_decided();

CREATE FUNCTION dead_letters_decided() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET jit = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM after WHERE state = 'resolved' AND edit > 0) OR to_regclass('event_decisions') IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO event_decisions (consumer, topic, partition, record_offset, record_timestamp, corrected_value)
    -- The letters of two versions may be about one record: the newer letter counts.
    SELECT DISTINCT ON (consumer, origin_topic, origin_partition, origin_offset, coalesce(record_timestamp, -1))
        consumer, origin_topic, origin_partition, origin_offset, record_timestamp, corrected.value
    FROM (
        SELECT after.*, floor(extract(epoch FROM after.origin_at) * 1000)::bigint AS record_timestamp
        FROM after JOIN before USING (letter_id)
        WHERE after.state = 'resolved' AND before.state <> 'resolved' AND after.edit > 0
    ) AS resolved
    CROSS JOIN LATERAL (
        SELECT e.value FROM dead_letter_edits AS e WHERE e.letter_id = resolved.letter_id ORDER BY e.edit DESC LIMIT 1
    ) AS corrected
    ORDER BY consumer, origin_topic, origin_partition, origin_offset, coalesce(record_timestamp, -1), letter_id DESC
    ON CONFLICT (consumer, topic, partition, record_offset, coalesce(record_timestamp, -1))
        DO UPDATE SET corrected_value = excluded.corrected_value, decided_at = excluded.decided_at;
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_decided AFTER UPDATE ON dead_letters
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION dead_letters_decided();
