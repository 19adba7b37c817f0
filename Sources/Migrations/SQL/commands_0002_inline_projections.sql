-- Read models in SQL that commands keep in their own transactions, in the place of a daemon: at most one version each.
CREATE TABLE inline_projections (
    name text PRIMARY KEY,
    version int NOT NULL CHECK (version > 0),
    -- The relay's suffix of topics, which follows the aggregate type in lower case: tells whose events the version reads.
    topic_suffix text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_by text NOT NULL DEFAULT session_user
);

COMMENT ON TABLE inline_projections IS 'Versions of projections in SQL that commands apply in their own transactions';
