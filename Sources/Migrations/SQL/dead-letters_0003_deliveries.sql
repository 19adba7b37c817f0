-- What a delivery carries, what is still to be answered, and how much of a key is sent at once.

ALTER TABLE dead_letters
    -- The newest correction; 0: none.
    ADD COLUMN edit int NOT NULL DEFAULT 0,
    -- Deliveries since the last one that was answered: each doubles the time until the next.
    ADD COLUMN unanswered int NOT NULL DEFAULT 0,
    -- How many letters of its sequence may be sent with it at once, when it is the first.
    ADD COLUMN set_size int NOT NULL DEFAULT 1 CHECK (set_size > 0),
    -- Discarded, and the consumer has not confirmed it: the key may still wait. next_attempt_at is when the consumer is
    -- told again.
    ADD COLUMN is_discard_open boolean NOT NULL DEFAULT false,
    -- The consumer may have deleted the event's row when it was told of the discard, as releases before this did.
    ADD COLUMN is_row_forgotten boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN dead_letters.next_attempt_at IS
    'infinity: somebody asked for it, and it is sent when the letters before it in its sequence are over';

UPDATE dead_letters AS l SET edit = e.edit
FROM (SELECT letter_id, max(edit) AS edit FROM dead_letter_edits GROUP BY letter_id) AS e
WHERE e.letter_id = l.letter_id;

-- A discard that was never confirmed is sent again: its key may be blocked.
UPDATE dead_letters AS l SET is_row_forgotten = true, (is_discard_open, next_attempt_at) = (
    SELECT is_open, CASE WHEN is_open THEN clock_timestamp() END FROM (
        SELECT NOT EXISTS (
            SELECT FROM dead_letter_history AS h
            WHERE h.letter_id = l.letter_id AND h.action = 'discard_confirmed' AND h.at >= l.state_since)) AS o (is_open))
WHERE state = 'discarded' AND dialect = 'millrace';

CREATE INDEX dead_letters_under_way ON dead_letters (consumer, origin_topic, sequence)
    WHERE state = 'retrying' AND sequence IS NOT NULL;
CREATE INDEX dead_letters_discard_open ON dead_letters (next_attempt_at)
    WHERE is_discard_open AND next_attempt_at IS NOT NULL;

-- The correction that the delivery carries; 0: the letter's own value; NULL: the newest at the time of sending.
ALTER TABLE dead_letter_sends ADD COLUMN edit int;

-- A letter knows its newest correction in its own row: who locks the row sees it, a lookup beside it may not yet.
CREATE FUNCTION dead_letter_edited() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE dead_letters SET edit = greatest(edit, NEW.edit) WHERE letter_id = NEW.letter_id;
    RETURN NULL;
END $$;
CREATE TRIGGER dead_letter_edited AFTER INSERT ON dead_letter_edits
    FOR EACH ROW EXECUTE FUNCTION dead_letter_edited();
