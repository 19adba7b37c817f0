internal import Postgres

/// All SQL of a relay, for one table and one shard.
struct OutboxStatements: Sendable {
    /// `$1` position, `$2` limit.
    let page: Statement
    /// `$1` position, `$2` limit, `$3` and `$4` the gaps' lowest and highest ids.
    let pageWithGaps: Statement
    /// `$1` and `$2` the lowest and highest ids of ranges whose rows were all acknowledged.
    let remove: Statement
    /// `$1` and `$2` the lowest and highest ids of ranges: which of their rows are still to be published.
    let remaining: Statement
    /// `$1` id, `$2` error class, `$3` error.
    let setAside: Statement
    /// The same for a row whose columns do not fit; `$4` and `$5` the topic and the key of its lane.
    let setAsideWhole: Statement
    /// Who waits for an operator.
    let blockedLanes: Statement
    /// `$1` the server processes that do not count.
    let lockHolders: Statement
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
            // A row without a key is of the shard of the empty key: it must be read by one, if only to be set aside.
            filters +=
                " AND (hashtextextended(coalesce(\(key), \(aggregate), ''), 0) & 9223372036854775807)"
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
        let published = configuration.retention == .keep ? " AND published_at IS NULL" : ""
        remaining = Statement("SELECT \(id) FROM \(table), \(acknowledged)\(published) ORDER BY \(id)")
        let setAside = SetAsideStatements(configuration, layout: layout)
        self.setAside = setAside.typed
        setAsideWhole = setAside.whole
        blockedLanes = Statement(
            "SELECT DISTINCT aggregate_type, aggregate_id, topic, key FROM \(failed) WHERE state = 'failed'")
        lockHolders = Statement(
            """
            SELECT DISTINCT virtualtransaction FROM pg_locks
            WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND relation = \(SQLText.quoted(table))::regclass AND pid <> ALL ($1)
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
}
