-- What was answered to commands that came with an idempotency key: the same key is answered the same.
CREATE TABLE command_answers (
    scope text NOT NULL,
    key text NOT NULL,
    command_type text NOT NULL,
    fingerprint bytea NOT NULL,
    aggregate_type text,
    aggregate_id text,
    version bigint,
    body json,
    rule text,
    rule_kind text,
    summary text,
    detail text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX command_answers_age ON command_answers (created_at);

COMMENT ON TABLE command_answers IS 'Answers under idempotency keys; deleted after their retention';
COMMENT ON COLUMN command_answers.scope IS 'Whose key it is';
COMMENT ON COLUMN command_answers.fingerprint IS 'SHA-256 of the request: the same key must ask for the same';
COMMENT ON COLUMN command_answers.rule IS 'The rule that refused the command; NULL when it was carried out';

-- Aggregates that are kept as their events, and what their state was at one of them.
CREATE TABLE event_streams (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    snapshot_version bigint NOT NULL DEFAULT 0 CHECK (snapshot_version BETWEEN 0 AND version),
    snapshot_format integer,
    snapshot json,
    PRIMARY KEY (aggregate_type, aggregate_id)
) WITH (fillfactor = 80);

CREATE TABLE stream_events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    version integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    correlation_id text,
    causation_id text,
    metadata json NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

COMMENT ON TABLE event_streams IS 'Event-sourced aggregates: the version of each, and its last snapshot';
COMMENT ON TABLE stream_events IS 'The events of event-sourced aggregates; never changed, never deleted';

-- Ends a statement, and its transaction, that did not change as many rows as it must: somebody else was there before.
CREATE FUNCTION commands_expect(changed bigint, expected bigint, what text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF changed IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '% has another version than expected', what USING ERRCODE = 'CQ409';
    END IF;
END
$$;
