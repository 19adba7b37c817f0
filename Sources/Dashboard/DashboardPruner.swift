public import Logging
public import Postgres

/// How long the dashboard's small buckets are kept. Days are kept for ever.
public struct DashboardRetention: Sendable {
    /// Minutes older than so many hours are dropped.
    public var minutesKeptHours = 48
    /// Hours older than so many days are dropped.
    public var hoursKeptDays = 90
    /// Seconds between two passes.
    public var intervalS = 300

    public init() {}

    /// What is wrong with the values, in words; empty when nothing is.
    public func validate() -> [String] {
        var problems: [String] = []
        if !(1...87_600).contains(minutesKeptHours) { problems.append("minutesKeptHours is not within 1…87600") }
        if !(1...36_500).contains(hoursKeptDays) { problems.append("hoursKeptDays is not within 1…36500") }
        if !(1...86_400).contains(intervalS) { problems.append("intervalS is not within 1…86400") }
        return problems
    }
}

/// Drops minutes and hours that are too old to be looked at one by one. Every event counts in its hour and its day from
/// the start, so nothing is added up here, and no total changes.
///
/// The horizon is moved first, in a transaction of its own: from then on events that come late for what is about to be
/// dropped count in the larger buckets alone, and readers do not see it any more. A transaction that began before may
/// still write to it; the next pass finds that. Rows that somebody has locked are left to the next pass too, so a pass
/// never waits, and any number of processes may make theirs at once.
public struct DashboardPruner: Sendable {
    private let retention: DashboardRetention
    private let postgres: PostgresConfiguration
    private let logger: Logger

    public init(retention: DashboardRetention, postgres: PostgresConfiguration, logger: Logger) {
        self.retention = retention
        self.postgres = postgres
        self.logger = logger
    }

    /// Makes a pass now and then, until the task is cancelled. What fails is tried again at the next one.
    ///
    /// - Parameter onChange: called with true before a pass, and after each of its statements; with false when the pass
    ///   has ended.
    public func run(onChange: @escaping @Sendable (_ isWorking: Bool) -> Void = { _ in }) async {
        while !Task.isCancelled {
            do {
                onChange(true)
                defer { onChange(false) }
                let dropped = try await pass { onChange(true) }
                if dropped > 0 { logger.info("old buckets dropped", metadata: ["rows": "\(dropped)"]) }
            } catch {
                logger.warning(
                    "old buckets were not dropped, trying again later",
                    metadata: ["error": "\(error)", "after_s": "\(retention.intervalS)"])
            }
            // Cut short by the cancellation, which ends the loop.
            try? await Task.sleep(for: .seconds(retention.intervalS))
        }
    }

    /// Makes one pass.
    ///
    /// - Parameter onPage: called after each statement that drops rows.
    /// - Returns: how many rows were dropped.
    /// - Throws: `PostgresError`.
    public func pass(onPage: () -> Void = {}) async throws -> Int {
        let connection = try await PostgresConnection.connect(postgres)
        do {
            let dropped = try await pass(connection, onPage)
            await connection.close()
            return dropped
        } catch {
            await connection.close()
            throw error
        }
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

    /// Horizons are whole minutes and hours, so that what is kept is whole.
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
