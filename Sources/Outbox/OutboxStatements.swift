internal import Postgres

/// All SQL statements of a relay, for one table and one shard.
struct OutboxStatements: Sendable {
    /// `$1` position, `$2` limit, `$3` the last id, `$4` the maximum size of a row, in bytes: larger rows come without
    /// values.
    let page: Statement
    /// Like `page`, with `$5` and `$6` the lowest and highest ids of the gaps.
    let pageWithGaps: Statement
    /// `$1` and `$2` the lowest and highest ids of ranges. All their rows must be acknowledged.
    let remove: Statement
    /// `$1` and `$2` the lowest and highest ids of ranges. Returns the ids of their rows that still exist unpublished.
    let remaining: Statement
    /// `$1` id, `$2` error class, `$3` error.
    let setAside: Statement
    /// The same for a row whose columns do not fit the failed-rows table; `$4` its topic, `$5` its key.
    let setAsideWhole: Statement
    /// The keys that wait for an operator.
    let blockedKeys: Statement
    /// `$1` the server processes to ignore.
    let lockHolders: Statement
    /// The highest id that was drawn (NULL if the position column has no sequence), and the file that contains the
    /// rows.
    let origin: Statement

    init(_ configuration: OutboxRelayConfiguration, layout: RowLayout, shard: Int) {
        let table = SQLIdentifier.quoted(configuration.table)
        let failed = SQLIdentifier.quoted(configuration.failedTable)
        let id = SQLIdentifier.quoted(layout.position)
        var filters = ""
        if configuration.retention == .keep { filters += " AND published_at IS NULL" }
        if configuration.shards > 1 {
            let key = layout.expressions[RowColumn.key.rawValue]
            let aggregate = layout.expressions[RowColumn.aggregateID.rawValue]
            // A row without a key belongs to the shard of the empty key. One shard must read it, at least to move it to
            // the failed rows.
            filters +=
                " AND (hashtextextended(coalesce(\(key), \(aggregate), ''), 0) & 9223372036854775807)"
                + " % \(configuration.shards) = \(shard)"
        }
        // LIMIT prevents the planner from computing the size of a row again wherever it is compared.
        let whole = "SELECT *, \(Self.size(configuration, layout)) AS millrace_bytes FROM \(table)"
        let forward = "\(whole) WHERE \(id) > $1 AND \(id) <= $3\(filters) ORDER BY \(id) LIMIT $2"
        let list = Self.list(layout)
        page = Statement("SELECT \(list) FROM (\(forward)) AS page ORDER BY \(id)")
        // The statement reads the gaps one range after the other. LATERAL … LIMIT prevents the planner from joining the
        // table.
        pageWithGaps = Statement(
            """
            SELECT \(list) FROM (
                SELECT late.* FROM unnest($5::bigint[], $6::bigint[]) AS gap (low, high)
                CROSS JOIN LATERAL (
                    \(whole) WHERE \(id) >= gap.low AND \(id) <= gap.high AND \(id) <= $1\(filters)
                    ORDER BY \(id) LIMIT $2
                ) AS late
                UNION ALL
                (\(forward))
            ) AS page ORDER BY \(id) LIMIT $2
            """)
        let acknowledged = "unnest($1::bigint[], $2::bigint[]) AS done (low, high) WHERE \(id) >= low AND \(id) <= high"
        switch configuration.retention {
        case .delete: remove = Statement("DELETE FROM \(table) USING \(acknowledged)")
        case .keep:
            remove = Statement("UPDATE \(table) SET published_at = now() FROM \(acknowledged) AND published_at IS NULL")
        }
        let published = configuration.retention == .keep ? " AND published_at IS NULL" : ""
        remaining = Statement("SELECT \(id) FROM \(table), \(acknowledged)\(published) ORDER BY \(id)")
        let setAside = SetAsideStatements(configuration, layout: layout)
        self.setAside = setAside.typed
        setAsideWhole = setAside.whole
        blockedKeys = Statement(
            """
            SELECT aggregate_type, aggregate_id, topic, key, min(id) FROM \(failed) WHERE state = 'failed'
            GROUP BY aggregate_type, aggregate_id, topic, key
            """)
        lockHolders = Self.lockHolders(of: table)
        origin = Statement(
            """
            SELECT pg_sequence_last_value(
                pg_get_serial_sequence(\(SQLText.quoted(table)), \(SQLText.quoted(layout.position)))::regclass),
                pg_relation_filenode(\(SQLText.quoted(table))::regclass)::bigint
            """)
    }

    /// The transactions that hold a lock to write in the table.
    ///
    /// `pg_locks` is read after the snapshot of the statement was taken. A snapshot shows a transaction as ended before
    /// the transaction releases its locks, so transactions that have ended in the snapshot are left out. A transaction
    /// may have several ids: the lowest is its own, the others are those of its savepoints. `pg_locks` contains only
    /// the lower 32 bits of the ids.
    private static func lockHolders(of table: String) -> Statement {
        Statement(
            """
            WITH locks AS MATERIALIZED (
                SELECT locktype, virtualtransaction, pid, mode, database, relation, transactionid FROM pg_locks
                WHERE granted AND locktype IN ('relation', 'transactionid')
            ), holders AS (
                SELECT DISTINCT virtualtransaction, pid IS NULL AS prepared FROM locks
                WHERE locktype = 'relation' AND mode = 'RowExclusiveLock'
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND relation = \(SQLText.quoted(table))::regclass AND (pid IS NULL OR pid <> ALL ($1))
            ), numbered AS (
                SELECT virtualtransaction, prepared, (
                    SELECT min(newest + (transactionid::text::bigint - newest % 4294967296 + 6442450944) % 4294967296
                        - 2147483648)
                    FROM locks, txid_snapshot_xmax(txid_current_snapshot()) AS newest
                    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock'
                        AND locks.virtualtransaction = holders.virtualtransaction
                ) AS number FROM holders
            )
            SELECT virtualtransaction, prepared, number IS NOT NULL FROM numbered
            WHERE number IS NULL OR NOT txid_visible_in_snapshot(number, txid_current_snapshot())
            """)
    }

    /// Settings of the relay's sessions. The table fills and empties within seconds, so its statistics are always
    /// wrong. Each statement here has one good plan, which uses the index of the ids.
    static let planning = [
        "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
        "plan_cache_mode": "force_generic_plan", "jit": "off", "max_parallel_workers_per_gather": "0",
    ]

    /// The statement that reads a page, with its parameters.
    func query(for request: ScanCursor.Request) -> (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append(request.after)
        parameters.append(Int64(request.limit))
        parameters.append(request.upTo)
        parameters.append(request.rowBytes)
        if request.gaps.isEmpty { return (page, parameters) }
        var low = Int64Array()
        var high = Int64Array()
        for gap in request.gaps {
            low.append(gap.lowerBound)
            high.append(gap.upperBound)
        }
        parameters.append(low)
        parameters.append(high)
        return (pageWithGaps, parameters)
    }

    private static let values: Set<RowColumn> = [.metadata, .payload, .headers]

    /// The columns of a row and its size. Values are NULL if the row is too large.
    private static func list(_ layout: RowLayout) -> String {
        let columns = zip(RowColumn.allCases, layout.expressions).map { column, expression in
            values.contains(column) ? "CASE WHEN millrace_bytes <= $4 THEN \(expression) END" : expression
        }
        return (columns + ["millrace_bytes"]).joined(separator: ", ")
    }

    /// The approximate size of the row's values, in bytes. It does not read values that are stored outside of the row.
    /// Only for a compressed value the real length is computed, because its stored size may be a hundredth of that.
    private static func size(_ configuration: OutboxRelayConfiguration, _ layout: RowLayout) -> String {
        let terms: [(stored: String, value: String)]
        switch configuration.layout {
        case .millrace: terms = ["payload", "metadata", "headers"].map { ($0, "\($0)::text") }
        case .debezium(let debezium):
            var columns = [(debezium.payload, layout.expressions[RowColumn.payload.rawValue])]
            for name in [debezium.metadata].compactMap(\.self) + debezium.headerColumns.keys.sorted() {
                columns.append((name, SQLIdentifier.quoted(name) + "::text"))
            }
            terms = columns.map { (SQLIdentifier.quoted($0), $1) }
        }
        return terms.map { stored, value in
            """
            coalesce(CASE WHEN pg_column_compression(\(stored)) IS NULL OR pg_column_size(\(stored)) > $4
                THEN pg_column_size(\(stored)) ELSE octet_length(\(value)) END, 0)
            """
        }.joined(separator: " + ")
    }
}
