internal import Postgres
internal import StreamCore

/// The positions of the projections at the time of the snapshot.
struct ReadSnapshot: Sendable {
    var summary = ProjectionCut(name: "order-summary")
    private(set) var hasSummary = true
    /// nil if there is no dashboard or nothing was ever projected into it.
    var dashboard: ProjectionCut?
    private(set) var hasDashboard = false
    private(set) var horizons: DashboardView.Horizons = [:]

    /// Reads the positions of the projections.
    ///
    /// - Parameters:
    ///   - transaction: a transaction with isolation level REPEATABLE READ.
    ///   - tables: what the databases have.
    ///   - versions: the versions to read, by projection. The default is the live version.
    static func take(
        in transaction: PostgresTransaction, _ tables: VerifiedTables, versions: [String: Int]
    ) async throws -> ReadSnapshot {
        var snapshot = try await takeViews(in: transaction)
        snapshot.hasSummary = tables.hasSummary
        if tables.hasSummary {
            let summary = try await ProjectionCut.read(
                "order-summary", version: versions["order-summary"], in: transaction)
            if let summary { snapshot.summary = summary }
        }
        if snapshot.hasDashboard {
            snapshot.dashboard = try await ProjectionCut.read(
                "dashboard", version: versions["dashboard"], in: transaction)
        }
        return snapshot
    }

    /// Reads what does not depend on offsets.
    static func takeViews(in transaction: PostgresTransaction) async throws -> ReadSnapshot {
        var snapshot = ReadSnapshot()
        let isThere = try await transaction.execute("SELECT to_regclass('dashboard_counters') IS NOT NULL")
        snapshot.hasDashboard = try isThere.bool(0, 0)
        guard snapshot.hasDashboard else { return snapshot }
        let horizons = try await transaction.execute(
            "SELECT resolution, kept_from FROM dashboard_horizons WHERE isfinite(kept_from)")
        for row in 0..<horizons.rowCount {
            snapshot.horizons[try horizons.string(row, 0)] = try horizons.timestamp(row, 1)
        }
        return snapshot
    }

    /// Whether the compared projections have now applied everything before these offsets.
    func hasPassed(_ ends: [TopicPartition: Int64], on connection: PostgresConnection) async throws -> Bool {
        var names = TextArray()
        var versions = Int32Array()
        for cut in cuts {
            names.append(cut.name)
            versions.append(cut.version)
        }
        let rows = try await connection.execute(
            Self.offsets,
            Parameters {
                $0.append(names)
                $0.append(versions)
            })
        var open: [String: [TopicPartition: Int64]] = [:]
        for cut in cuts { open[cut.name] = ends.filter { $0.value > 0 } }
        for row in 0..<rows.rowCount {
            let partition = TopicPartition(topic: try rows.string(row, 1), partition: try rows.int32(row, 2))
            let next = try rows.int64(row, 3)
            if let end = ends[partition], next >= end { open[try rows.string(row, 0)]?[partition] = nil }
        }
        return open.values.allSatisfy(\.isEmpty)
    }

    private static let offsets = Statement(
        """
        SELECT p.name, o.topic, o.partition, o.next_offset
        FROM unnest($1, $2) AS cut (name, version) JOIN projections AS p USING (name, version)
        JOIN projection_offsets AS o ON o.projection_id = p.id
        """)

    /// The positions of the read models that exist.
    var cuts: [ProjectionCut] { (hasSummary ? [summary] : []) + (dashboard.map { [$0] } ?? []) }
}
