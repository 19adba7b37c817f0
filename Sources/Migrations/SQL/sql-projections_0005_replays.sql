-- The schemas in which verifications apply events once more. The session of a verification holds an advisory lock on its
-- schema: where nobody holds it, the verification was killed, and whoever comes next drops the schema.
CREATE TABLE sql_projection_replays (
    schema_name text PRIMARY KEY,
    name text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_by text NOT NULL DEFAULT session_user
);
