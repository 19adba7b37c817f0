-- A corrected event that is applied stays corrected in every rebuild: its value is kept with what operators decided
-- about single events, also when the letter's retention is over.

CREATE FUNCTION dead_letter_decided() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    corrected bytea := (
        SELECT value FROM dead_letter_edits WHERE letter_id = NEW.letter_id ORDER BY edit DESC LIMIT 1);
BEGIN
    IF corrected IS NOT NULL AND to_regclass('event_decisions') IS NOT NULL THEN
        INSERT INTO event_decisions (
            consumer, topic, partition, record_offset, record_timestamp, corrected_value)
        VALUES (NEW.consumer, NEW.origin_topic, NEW.origin_partition, NEW.origin_offset,
            floor(extract(epoch FROM NEW.origin_at) * 1000)::bigint, corrected)
        ON CONFLICT (consumer, topic, partition, record_offset, coalesce(record_timestamp, -1))
            DO UPDATE SET corrected_value = excluded.corrected_value, decided_at = excluded.decided_at;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER dead_letter_decided AFTER UPDATE OF state ON dead_letters
    FOR EACH ROW WHEN (NEW.state = 'resolved' AND OLD.state <> 'resolved') EXECUTE FUNCTION dead_letter_decided();

-- Where the projections' own tables are here, what was decided before this is kept as well.
DO $$
BEGIN
    IF to_regclass('event_decisions') IS NOT NULL THEN
        INSERT INTO event_decisions (
            consumer, topic, partition, record_offset, record_timestamp, corrected_value)
        SELECT DISTINCT ON (l.letter_id) l.consumer, l.origin_topic, l.origin_partition, l.origin_offset,
            floor(extract(epoch FROM l.origin_at) * 1000)::bigint, e.value
        FROM dead_letters AS l JOIN dead_letter_edits AS e ON e.letter_id = l.letter_id
        WHERE l.state = 'resolved'
        ORDER BY l.letter_id, e.edit DESC
        ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- Closes the open letters of a version of a read model that another one took the place of: that has applied their
-- events, or was told of them.
CREATE FUNCTION millrace_close_letters(superseded_group text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    WITH open AS (
        SELECT letter_id, state FROM dead_letters
        WHERE consumer_group = superseded_group AND state IN ('pending', 'retrying')
        ORDER BY letter_id FOR UPDATE
    ), closed AS (
        UPDATE dead_letters AS l SET state = 'discarded', state_since = clock_timestamp(), next_attempt_at = NULL
        FROM open WHERE l.letter_id = open.letter_id
    )
    INSERT INTO dead_letter_history (letter_id, actor, action, from_state, to_state, reason)
    SELECT letter_id, session_user, 'discard', state, 'discarded', 'another version took the place of the consumer''s'
    FROM open;
END
$$;
