-- The files of each version, as their author wrote them: any machine can verify, promote and show a version by its name.
-- A version that was registered before this table existed gets its files at the next start of its daemon.
CREATE TABLE sql_projection_files (
    name text NOT NULL,
    version int NOT NULL,
    -- Within the folder: projection.toml, schema.sql, OrderCreated.sql.
    path text NOT NULL,
    content text NOT NULL CHECK (octet_length(content) <= 1048576),
    -- SHA-256 of the content in UTF-8. A row that somebody has changed by hand is not used.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (name, version, path),
    FOREIGN KEY (name, version) REFERENCES sql_projections ON DELETE CASCADE
);
