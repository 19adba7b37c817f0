-- The dead letters: events that a consumer could not apply, what became of them, and what an operator did about it.

-- One row a letter, named by where its event stood first: a letter that is delivered again meets its row.
CREATE TABLE dead_letters (
    letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    origin_topic text NOT NULL,
    origin_partition int NOT NULL,
    origin_offset bigint NOT NULL,
    origin_at timestamptz,
    key bytea,
    value bytea,
    -- 'consumer': larger than the broker takes, it stands in the consumer's parked_events.
    value_kept text NOT NULL CHECK (value_kept IN ('here', 'consumer')),
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    -- What is sent in order: the key, or its hash when it is long; NULL for a letter that waits for no other.
    sequence bytea,
    event_id uuid,
    event_type text,
    state text NOT NULL CHECK (state IN ('pending', 'retrying', 'resolved', 'discarded')),
    reason text NOT NULL CHECK (reason IN ('failed', 'blocked')),
    stage text,
    error_class text NOT NULL,
    message text NOT NULL,
    first_error_class text NOT NULL,
    first_message text NOT NULL,
    fingerprint text NOT NULL,
    dialect text NOT NULL,
    -- Where a retry goes; NULL when nobody knows.
    replay_topic text,
    attempts int NOT NULL DEFAULT 0,
    delivery int NOT NULL DEFAULT 1,
    next_attempt_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (consumer, origin_topic, origin_partition, origin_offset)
);
CREATE INDEX dead_letters_sequence ON dead_letters (consumer, origin_topic, sequence, letter_id)
    WHERE state IN ('pending', 'retrying') AND sequence IS NOT NULL;
CREATE INDEX dead_letters_due ON dead_letters (next_attempt_at)
    WHERE state = 'pending' AND next_attempt_at IS NOT NULL;
CREATE INDEX dead_letters_retrying ON dead_letters (state_since) WHERE state = 'retrying';
CREATE INDEX dead_letters_closed ON dead_letters (state_since) WHERE state IN ('resolved', 'discarded');
CREATE INDEX dead_letters_group ON dead_letters (consumer, error_class, fingerprint, letter_id);
CREATE INDEX dead_letters_state ON dead_letters (state, letter_id);

-- Every change of a letter: who, when, what, why.
CREATE TABLE dead_letter_history (
    letter_id bigint NOT NULL REFERENCES dead_letters ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    from_state text,
    to_state text,
    reason text
);
CREATE INDEX dead_letter_history_letter ON dead_letter_history (letter_id);

-- Corrected values; the newest is what a retry sends, and the letter keeps its own.
CREATE TABLE dead_letter_edits (
    letter_id bigint NOT NULL REFERENCES dead_letters ON DELETE CASCADE,
    edit int NOT NULL CHECK (edit > 0),
    value bytea NOT NULL,
    event_id uuid NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (letter_id, edit)
);

-- The handler's outbox: one process sends it, in order, and deletes a row after Kafka has acknowledged it.
CREATE TABLE dead_letter_sends (
    send_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id bigint NOT NULL REFERENCES dead_letters ON DELETE CASCADE,
    action text NOT NULL CHECK (action IN ('apply', 'discard')),
    delivery int NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX dead_letter_sends_letter ON dead_letter_sends (letter_id);

-- What to tell people.
CREATE TABLE dead_letter_alerts (
    alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('new_group', 'threshold', 'brake_opened', 'brake_released')),
    consumer text NOT NULL,
    error_class text,
    fingerprint text,
    message text,
    letters bigint,
    letter_id bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_try_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries int NOT NULL DEFAULT 0,
    sent_at timestamptz,
    given_up_at timestamptz
);
CREATE INDEX dead_letter_alerts_open ON dead_letter_alerts (next_try_at)
    WHERE sent_at IS NULL AND given_up_at IS NULL;

-- How many letters share a cause, by state. A million letters are counted by reading a few rows here. A group at zero
-- stays: first_seen tells a new cause from an old one that is back.
CREATE TABLE dead_letter_groups (
    consumer text NOT NULL,
    error_class text NOT NULL,
    fingerprint text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    example_letter bigint NOT NULL,
    example_message text NOT NULL,
    pending bigint NOT NULL DEFAULT 0,
    retrying bigint NOT NULL DEFAULT 0,
    resolved bigint NOT NULL DEFAULT 0,
    discarded bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (consumer, error_class, fingerprint)
) WITH (
    fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0
);

-- The counts follow every statement, whoever runs it: one upsert a statement, the groups in the order of their keys so
-- that two statements do not wait for each other in a circle. The functions keep the schema they were made in.
--
-- A session plans these statements once, by the size of the first change it makes, which may be one letter; a nested
-- loop over the transition tables would then take minutes for the next, of 50,000. What LATERAL needs of them then looks dear
-- enough for JIT, which takes seconds.

CREATE FUNCTION dead_letters_count_inserted() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_nestloop = off SET jit = off AS $$
BEGIN
    INSERT INTO dead_letter_groups AS groups (
        consumer, error_class, fingerprint, first_seen, last_seen, example_letter, example_message,
        pending, retrying, resolved, discarded)
    SELECT
        consumer, error_class, fingerprint, min(created_at), max(created_at), min(letter_id),
        (array_agg(message ORDER BY letter_id))[1],
        count(*) FILTER (WHERE state = 'pending'), count(*) FILTER (WHERE state = 'retrying'),
        count(*) FILTER (WHERE state = 'resolved'), count(*) FILTER (WHERE state = 'discarded')
    FROM inserted
    GROUP BY consumer, error_class, fingerprint
    ORDER BY consumer, error_class, fingerprint
    ON CONFLICT (consumer, error_class, fingerprint) DO UPDATE SET
        last_seen = greatest(groups.last_seen, excluded.last_seen),
        -- The example of a group at zero is gone, or another's.
        (example_letter, example_message) = (SELECT
            CASE WHEN is_empty THEN excluded.example_letter ELSE groups.example_letter END,
            CASE WHEN is_empty THEN excluded.example_message ELSE groups.example_message END
            FROM (VALUES (groups.pending + groups.retrying + groups.resolved + groups.discarded = 0)) AS g (is_empty)),
        pending = groups.pending + excluded.pending,
        retrying = groups.retrying + excluded.retrying,
        resolved = groups.resolved + excluded.resolved,
        discarded = groups.discarded + excluded.discarded;
    RETURN NULL;
END $$;

CREATE FUNCTION dead_letters_count_updated() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_nestloop = off SET jit = off AS $$
BEGIN
    INSERT INTO dead_letter_groups AS groups (
        consumer, error_class, fingerprint, first_seen, last_seen, example_letter, example_message,
        pending, retrying, resolved, discarded)
    SELECT
        change.consumer, change.error_class, change.fingerprint,
        -- A letter that fails again has been seen again; one that an operator moves has not.
        coalesce(max(now()) FILTER (WHERE is_seen), '-infinity'),
        coalesce(max(now()) FILTER (WHERE is_seen), '-infinity'),
        min(letter_id), (array_agg(change.message ORDER BY letter_id))[1],
        coalesce(sum(step) FILTER (WHERE change.state = 'pending'), 0),
        coalesce(sum(step) FILTER (WHERE change.state = 'retrying'), 0),
        coalesce(sum(step) FILTER (WHERE change.state = 'resolved'), 0),
        coalesce(sum(step) FILTER (WHERE change.state = 'discarded'), 0)
    FROM before JOIN after USING (letter_id)
    CROSS JOIN LATERAL (VALUES
        (before.consumer, before.error_class, before.fingerprint, before.state, before.message, -1, false),
        (after.consumer, after.error_class, after.fingerprint, after.state, after.message, 1,
         after.attempts > before.attempts OR before.error_class <> after.error_class
             OR before.fingerprint <> after.fingerprint)
    ) AS change (consumer, error_class, fingerprint, state, message, step, is_seen)
    WHERE (before.consumer, before.error_class, before.fingerprint, before.state, before.attempts)
        IS DISTINCT FROM (after.consumer, after.error_class, after.fingerprint, after.state, after.attempts)
    GROUP BY change.consumer, change.error_class, change.fingerprint
    ORDER BY change.consumer, change.error_class, change.fingerprint
    ON CONFLICT (consumer, error_class, fingerprint) DO UPDATE SET
        last_seen = greatest(groups.last_seen, excluded.last_seen),
        -- The example of a group at zero is gone, or another's.
        (example_letter, example_message) = (SELECT
            CASE WHEN is_empty THEN excluded.example_letter ELSE groups.example_letter END,
            CASE WHEN is_empty THEN excluded.example_message ELSE groups.example_message END
            FROM (VALUES (groups.pending + groups.retrying + groups.resolved + groups.discarded = 0)) AS g (is_empty)),
        pending = groups.pending + excluded.pending,
        retrying = groups.retrying + excluded.retrying,
        resolved = groups.resolved + excluded.resolved,
        discarded = groups.discarded + excluded.discarded;
    -- A letter that now belongs to another group is no example of the old one. Those rows are locked already.
    WITH lost AS MATERIALIZED (
        SELECT groups.consumer, groups.error_class, groups.fingerprint
        FROM before JOIN after USING (letter_id)
        JOIN dead_letter_groups AS groups ON groups.example_letter = before.letter_id
            AND (groups.consumer, groups.error_class, groups.fingerprint)
                = (before.consumer, before.error_class, before.fingerprint)
        WHERE before.error_class <> after.error_class OR before.fingerprint <> after.fingerprint
    )
    UPDATE dead_letter_groups AS groups SET example_letter = next.letter_id, example_message = next.message
    FROM lost
    CROSS JOIN LATERAL (
        SELECT other.letter_id, other.message FROM dead_letters AS other
        WHERE (other.consumer, other.error_class, other.fingerprint)
            = (lost.consumer, lost.error_class, lost.fingerprint)
        ORDER BY other.letter_id LIMIT 1
    ) AS next
    WHERE (groups.consumer, groups.error_class, groups.fingerprint)
        = (lost.consumer, lost.error_class, lost.fingerprint);
    RETURN NULL;
END $$;

CREATE FUNCTION dead_letters_count_deleted() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT SET enable_nestloop = off SET jit = off AS $$
BEGIN
    INSERT INTO dead_letter_groups AS groups (
        consumer, error_class, fingerprint, first_seen, last_seen, example_letter, example_message,
        pending, retrying, resolved, discarded)
    SELECT
        consumer, error_class, fingerprint, '-infinity', '-infinity', min(letter_id), '',
        -count(*) FILTER (WHERE state = 'pending'), -count(*) FILTER (WHERE state = 'retrying'),
        -count(*) FILTER (WHERE state = 'resolved'), -count(*) FILTER (WHERE state = 'discarded')
    FROM deleted
    GROUP BY consumer, error_class, fingerprint
    ORDER BY consumer, error_class, fingerprint
    ON CONFLICT (consumer, error_class, fingerprint) DO UPDATE SET
        pending = groups.pending + excluded.pending,
        retrying = groups.retrying + excluded.retrying,
        resolved = groups.resolved + excluded.resolved,
        discarded = groups.discarded + excluded.discarded;
    -- The example is gone: another letter is one as well.
    WITH lost AS MATERIALIZED (
        SELECT groups.consumer, groups.error_class, groups.fingerprint
        FROM deleted
        JOIN dead_letter_groups AS groups ON groups.example_letter = deleted.letter_id
            AND (groups.consumer, groups.error_class, groups.fingerprint)
                = (deleted.consumer, deleted.error_class, deleted.fingerprint)
    )
    UPDATE dead_letter_groups AS groups SET example_letter = next.letter_id, example_message = next.message
    FROM lost
    CROSS JOIN LATERAL (
        SELECT other.letter_id, other.message FROM dead_letters AS other
        WHERE (other.consumer, other.error_class, other.fingerprint)
            = (lost.consumer, lost.error_class, lost.fingerprint)
        ORDER BY other.letter_id LIMIT 1
    ) AS next
    WHERE (groups.consumer, groups.error_class, groups.fingerprint)
        = (lost.consumer, lost.error_class, lost.fingerprint);
    RETURN NULL;
END $$;

CREATE TRIGGER dead_letters_inserted AFTER INSERT ON dead_letters
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION dead_letters_count_inserted();
CREATE TRIGGER dead_letters_updated AFTER UPDATE ON dead_letters
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION dead_letters_count_updated();
CREATE TRIGGER dead_letters_deleted AFTER DELETE ON dead_letters
    REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION dead_letters_count_deleted();
