-- The versions of read models that folders of SQL describe, each with a schema of its own.

CREATE TABLE sql_projections (
    name text NOT NULL,
    version int NOT NULL CHECK (version > 0),
    schema_name text NOT NULL UNIQUE,
    -- SHA-256 of the schema.sql that made it.
    schema_checksum bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL DEFAULT session_user,
    PRIMARY KEY (name, version)
);
