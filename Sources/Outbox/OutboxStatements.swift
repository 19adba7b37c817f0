internal import Postgres

/// All SQL of a relay, for one table and one shard.
struct OutboxStatements: Sendable {
    /// `$1` position, `$2` limit.
    let page: Statement
    /// `$1` position, `$2` limit, `$3` and `$4` the gaps' lowest and highest ids.
    let pageWithGaps: Statement
    /// `$1` and `$2` the lowest and highest ids of ranges whose rows were all acknowledged.
    let remove: Statement
    /// `$1` id, `$2` error class, `$3` error.
    let setAside: Statement
    /// Who waits for an operator.
    let blockedLanes: Statement
    /// `$1` the server processes that do not count.
    let lockHolders: Statement
    /// Columns of the table: name and type.
    let columns: Statement
    /// The table's highest id ever drawn; NULL when its position has no sequence.
    let lastPosition: Statement

    init(_ configuration: OutboxRelayConfiguration, layout: RowLayout, shard: Int) {
        let table = SQLIdentifier.quoted(configuration.table)
        let failed = SQLIdentifier.quoted(configuration.failedTable)
        let id = SQLIdentifier.quoted(layout.position)
        let list = layout.expressions.joined(separator: ", ")
        var filters = ""
        if configuration.retention == .keep { filters += " AND published_at IS NULL" }
        if configuration.shards > 1 {
            let key = layout.expressions[RowColumn.key.rawValue]
            let aggregate = layout.expressions[RowColumn.aggregateID.rawValue]
            filters +=
                " AND (hashtextextended(coalesce(\(key), \(aggregate)), 0) & 9223372036854775807)"
                + " % \(configuration.shards) = \(shard)"
        }
        let forward = "SELECT \(list) FROM \(table) WHERE \(id) > $1\(filters) ORDER BY \(id) LIMIT $2"
        page = Statement(forward)
        // The gaps' rows are looked up range by range (LATERAL … LIMIT keeps the planner from joining the table).
        pageWithGaps = Statement(
            """
            SELECT * FROM (
                SELECT late.* FROM unnest($3::bigint[], $4::bigint[]) AS gap (low, high)
                CROSS JOIN LATERAL (
                    SELECT \(Self.named(layout)) FROM \(table)
                    WHERE \(id) >= gap.low AND \(id) <= gap.high AND \(id) <= $1\(filters) ORDER BY \(id) LIMIT $2
                ) AS late
                UNION ALL
                (SELECT \(Self.named(layout)) FROM \(table) WHERE \(id) > $1\(filters) ORDER BY \(id) LIMIT $2)
            ) AS page ORDER BY id LIMIT $2
            """)
        let acknowledged = "unnest($1::bigint[], $2::bigint[]) AS done (low, high) WHERE \(id) >= low AND \(id) <= high"
        switch configuration.retention {
        case .delete: remove = Statement("DELETE FROM \(table) USING \(acknowledged)")
        case .keep:
            remove = Statement("UPDATE \(table) SET published_at = now() FROM \(acknowledged) AND published_at IS NULL")
        }
        setAside = Self.setAside(configuration, layout: layout)
        blockedLanes = Statement(
            "SELECT DISTINCT aggregate_type, aggregate_id, topic, key FROM \(failed) WHERE state = 'failed'")
        lockHolders = Statement(
            """
            SELECT DISTINCT virtualtransaction FROM pg_locks
            WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND relation = \(SQLText.quoted(table))::regclass AND pid <> ALL ($1)
            """)
        columns = .unprepared(
            """
            SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
            WHERE attrelid = \(SQLText.quoted(table))::regclass AND attnum > 0 AND NOT attisdropped
            """)
        lastPosition = Statement(
            """
            SELECT pg_sequence_last_value(
                pg_get_serial_sequence(\(SQLText.quoted(table)), \(SQLText.quoted(layout.position)))::regclass)
            """)
    }

    /// Settings of the relay's sessions. The statistics of a table that fills and empties within seconds are always
    /// wrong; each statement here has one good plan, along the index of ids.
    static let planning = [
        "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
        "plan_cache_mode": "force_generic_plan", "jit": "off", "max_parallel_workers_per_gather": "0",
    ]

    /// The statement that reads a page, with its parameters.
    func query(for request: ScanCursor.Request) -> (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append(request.after)
        parameters.append(Int64(request.limit))
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

    private static func named(_ layout: RowLayout) -> String {
        zip(RowColumn.allCases, layout.expressions).map { "\($1) AS \($0.name)" }.joined(separator: ", ")
    }

    /// Moves one row to the failed ones, with its error.
    private static func setAside(_ configuration: OutboxRelayConfiguration, layout: RowLayout) -> Statement {
        let table = SQLIdentifier.quoted(configuration.table)
        let failed = SQLIdentifier.quoted(configuration.failedTable)
        let columns = RowColumn.allCases.map(\.name).filter { $0 != "payload" }.joined(separator: ", ")
        // The Debezium layout's payload need not be JSON; its row is kept whole instead.
        var returned = zip(RowColumn.allCases, layout.expressions)
            .filter { $0.0 != .payload }
            .map { column, expression in
                column == .metadata ? "(\(expression))::json AS metadata" : "\(expression) AS \(column.name)"
            }
        if case .debezium = configuration.layout {
            returned += ["NULL::json AS payload", "row_to_json(whole) AS original"]
        } else {
            returned += ["payload", "NULL::json AS original"]
        }
        return Statement(
            """
            WITH moved AS (
                DELETE FROM \(table) AS whole WHERE \(SQLIdentifier.quoted(layout.position)) = $1
                RETURNING \(returned.joined(separator: ", "))
            )
            INSERT INTO \(failed) (\(columns), payload, original, error_class, error)
            SELECT \(columns), payload, original, $2, $3 FROM moved
            ON CONFLICT (id) DO UPDATE SET
                error_class = excluded.error_class, error = excluded.error, failed_at = now(), state = 'failed'
            """)
    }
}
