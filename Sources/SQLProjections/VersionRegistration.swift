internal import Postgres

/// A version's row of `sql_projections`, within one transaction. It records the files of the version.
struct VersionRegistration {
    private let folder: ProjectionFolder
    private let transaction: PostgresTransaction

    init(_ folder: ProjectionFolder, _ transaction: PostgresTransaction) {
        self.folder = folder
        self.transaction = transaction
    }

    private func key(_ more: (inout Parameters) -> Void = { _ in }) -> Parameters {
        Parameters {
            $0.append(folder.name)
            $0.append(Int32(folder.version))
            more(&$0)
        }
    }

    /// Takes a lock, so that other transactions that register or compare the same version wait.
    func lock() async throws {
        try await transaction.execute(
            .unprepared("SELECT pg_advisory_xact_lock(hashtextextended('millrace sql_projections ' || $1, 0))"),
            Parameters { $0.append(folder.schemaName) })
    }

    var isKnown: Bool {
        get async throws {
            try await transaction.execute(
                .unprepared("SELECT FROM sql_projections WHERE name = $1 AND version = $2"), key()
            ).rowCount > 0
        }
    }

    /// The owner of the schema with the views, quoted; nil if it is the session's user.
    var keeper: String? {
        get async throws {
            let found = try await transaction.execute(
                .unprepared(
                    """
                    SELECT n.nspowner::regrole::text FROM sql_projection_views AS v
                    JOIN pg_namespace AS n ON n.nspname = v.schema_name
                    WHERE v.name = $1 AND n.nspowner::regrole::text <> quote_ident(current_user)
                    """), Parameters { $0.append(folder.name) })
            return found.rowCount > 0 ? try found.string(0, 0) : nil
        }
    }

    /// Allows the version's readers to read the views, if these show the version. It creates the views if an older
    /// program has not created them.
    func letReadViews() async throws {
        try await transaction.execute(
            .unprepared(
                """
                SELECT CASE WHEN s.schema_name IS NULL THEN millrace_show_sql_version(v.name, v.schema_name)
                    ELSE millrace_let_read_sql_views(s.schema_name, v.schema_name) END
                FROM projection_versions AS v LEFT JOIN sql_projection_views AS s USING (name)
                WHERE v.name = $1 AND v.version = $2 AND v.state = 'live'
                """), key())
    }

    func insert() async throws {
        try await transaction.execute(
            .unprepared(
                """
                INSERT INTO sql_projections (name, version, schema_name, schema_checksum, definition)
                VALUES ($1, $2, $3, $4, $5)
                """),
            key {
                $0.append(folder.schemaName)
                $0.append(folder.schemaChecksum)
                $0.append(jsonb: folder.definition.json)
            })
        try await recordFiles()
    }

    /// The names of files that differ from those with which the version was created or run.
    var changedFiles: [String] {
        get async throws {
            let found = try await transaction.execute(
                .unprepared(
                    """
                    SELECT CASE WHEN p.definition IS NULL THEN 'schema.sql' ELSE f.name END
                    FROM sql_projections AS p
                    LEFT JOIN LATERAL (
                        SELECT coalesce(known.key, given.key) AS name
                        FROM jsonb_each_text(p.definition) AS known
                        FULL JOIN jsonb_each_text($3) AS given USING (key)
                        WHERE known.value IS DISTINCT FROM given.value
                    ) AS f ON p.definition IS NOT NULL
                    WHERE p.name = $1 AND p.version = $2
                        AND CASE WHEN p.definition IS NULL THEN p.schema_checksum <> $4 ELSE f.name IS NOT NULL END
                    ORDER BY 1
                    """),
                key {
                    $0.append(jsonb: folder.definition.json)
                    $0.append(folder.schemaChecksum)
                })
            return try (0..<found.rowCount).map { try found.string($0, 0) }
        }
    }

    /// Stores the digests and the files, if they differ from the stored ones.
    func record() async throws {
        try await transaction.execute(
            .unprepared(
                """
                UPDATE sql_projections SET definition = $3
                WHERE name = $1 AND version = $2 AND definition IS DISTINCT FROM $3
                """),
            key { $0.append(jsonb: folder.definition.json) })
        try await recordFiles()
    }

    /// Stores the current files. Only differences are written.
    private func recordFiles() async throws {
        var (names, texts, digests) = (TextArray(), TextArray(), ByteaArray())
        for file in folder.files.files {
            names.append(file.name)
            texts.append(file.text)
            digests.append(file.digest)
        }
        try await transaction.execute(
            .unprepared(
                """
                WITH given AS (
                    SELECT * FROM unnest($3::text[], $4::text[], $5::bytea[]) AS f (path, content, digest)
                ), gone AS (
                    DELETE FROM sql_projection_files WHERE name = $1 AND version = $2 AND path <> ALL ($3)
                )
                INSERT INTO sql_projection_files AS f (name, version, path, content, digest)
                SELECT $1, $2, path, content, digest FROM given
                ON CONFLICT (name, version, path) DO UPDATE SET content = excluded.content, digest = excluded.digest
                WHERE (f.digest, f.content) IS DISTINCT FROM (excluded.digest, excluded.content)
                """),
            key {
                $0.append(names)
                $0.append(texts)
                $0.append(digests)
            })
    }
}
