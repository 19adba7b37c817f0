public import Logging
public import Postgres

/// The retention of the dashboard's small buckets. Days are kept without limit.
public struct DashboardRetention: Sendable {
    /// The time for which minutes are kept, in hours.
    public var minutesKeptHours = 48
    /// The time for which hours are kept, in days.
    public var hoursKeptDays = 90
    /// The time between two passes, in seconds.
    public var intervalS = 300

    public init() {}

    /// The problems of the values; empty if there are none.
    public func validate() -> [String] {
        var problems: [String] = []
        if !(1...87_600).contains(minutesKeptHours) { problems.append("minutesKeptHours is not within 1…87600") }
        if !(1...36_500).contains(hoursKeptDays) { problems.append("hoursKeptDays is not within 1…36500") }
        if !(1...86_400).contains(intervalS) { problems.append("intervalS is not within 1…86400") }
        return problems
    }
}

/// Deletes minutes and hours that are past their retention. Every event is counted in its minute, hour and day at once,
/// so no total changes.
///
/// Each pass first moves the horizon in a separate transaction. From then on, late events for buckets before the
/// horizon count only in the larger buckets, and readers no longer see the old buckets. A transaction that began
/// earlier may still write to them; the next pass deletes those rows. Locked rows are skipped and also left to the next
/// pass. So a pass never waits, and several processes may run passes at once.
public struct DashboardPruner: Sendable {
    private let retention: DashboardRetention
    private let postgres: PostgresConfiguration
    private let logger: Logger

    public init(retention: DashboardRetention, postgres: PostgresConfiguration, logger: Logger) {
        self.retention = retention
        self.postgres = postgres
        self.logger = logger
    }

    /// Runs passes at regular intervals until the task is cancelled. After a failure, the next pass tries again.
    ///
    /// - Parameter onChange: called with true before a pass and after each of its statements, and with false after the
    ///   pass.
    public func run(onChange: @escaping @Sendable (_ isWorking: Bool) -> Void = { _ in }) async {
        while !Task.isCancelled {
            do {
                onChange(true)
                defer { onChange(false) }
                let dropped = try await pass { onChange(true) }
                if dropped > 0 { logger.info("deleted old counts", metadata: ["rows": "\(dropped)"]) }
            } catch {
                logger.warning(
                    "old counts were not deleted, trying again later",
                    metadata: ["error": "\(error)", "after_s": "\(retention.intervalS)"])
            }
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: .seconds(retention.intervalS))
        }
    }

    /// Runs one pass.
    ///
    /// - Parameter onPage: called after each statement that deletes rows.
    /// - Returns: the number of deleted rows.
    /// - Throws: `PostgresError`.
    public func pass(onPage: () -> Void = {}) async throws -> Int {
        try await PostgresConnection.with(postgres) { try await pass($0, onPage) }
    }

    private func pass(_ connection: PostgresConnection, _ onPage: () -> Void) async throws -> Int {
        try await connection.execute(
            Self.moveHorizons,
            Parameters {
                $0.append(Int32(clamping: retention.minutesKeptHours))
                $0.append(Int32(clamping: retention.hoursKeptDays))
            })
        var dropped = 0
        while !Task.isCancelled {
            let page = try await connection.execute(Self.dropPage, Parameters { $0.append(Self.pageRows) })
            dropped += page.affectedRows
            onPage()
            if page.affectedRows < Int(Self.pageRows) { break }
        }
        return dropped
    }

    private static let pageRows: Int32 = 5_000

    /// Moves the horizons to whole minutes and hours, so that only whole buckets are deleted.
    private static let moveHorizons = Statement(
        """
        UPDATE dashboard_horizon_rows AS h SET kept_from = n.kept_from
        FROM (VALUES
            ('minute', date_trunc('minute', clock_timestamp() - make_interval(hours => $1), 'UTC')),
            ('hour', date_trunc('hour', clock_timestamp() - make_interval(days => $2), 'UTC'))
        ) AS n (resolution, kept_from)
        WHERE h.resolution = n.resolution AND h.kept_from < n.kept_from
        """)
    private static let dropPage = Statement(
        """
        DELETE FROM dashboard_counter_rows WHERE ctid = ANY (ARRAY(
            SELECT c.ctid
            FROM dashboard_horizon_rows AS h
            JOIN dashboard_counter_rows AS c ON c.resolution = h.resolution AND c.bucket < h.kept_from
            LIMIT $1
            FOR UPDATE OF c SKIP LOCKED
        ))
        """)
}
