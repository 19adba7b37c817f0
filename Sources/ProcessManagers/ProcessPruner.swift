public import Logging
internal import Metrics
public import Postgres
public import StreamCore

/// Deletes finished processes and their history after their retention time. An unfinished process is never deleted,
/// whatever its age.
///
/// Several instances may run at once. Each skips the rows that another one has locked.
public struct ProcessPruner: Sendable {
    private let process: String
    private let postgres: PostgresConfiguration
    private let keptDays: Int
    private let clock: @Sendable () -> Timestamp
    private let logger: Logger

    /// Maximum number of processes that one transaction deletes.
    static let limit = 1_000
    private static let interval = Duration.seconds(60)

    /// - Parameters:
    ///   - process: the kind of process.
    ///   - keptDays: minimum time for which a process is kept after its end, in days.
    ///   - clock: the time of day.
    public init(
        process: String, postgres: PostgresConfiguration, keptDays: Int, logger: Logger,
        clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        precondition(keptDays > 0, "a number of days")
        self.process = process
        self.postgres = postgres
        self.keptDays = keptDays
        self.logger = logger
        self.clock = clock
    }

    /// Deletes old processes at each interval, until the task is cancelled. While the database is not available, it
    /// tries again.
    public func run() async {
        while !Task.isCancelled {
            do {
                let pruned = try await PostgresConnection.with(postgres) { try await pass(on: $0) }
                if pruned > 0 {
                    logger.info(
                        "finished processes were deleted", metadata: ["process": "\(process)", "count": "\(pruned)"])
                }
            } catch {
                if Task.isCancelled { return }
                logger.warning(
                    "finished processes cannot be deleted, trying again later",
                    metadata: ["process": "\(process)", "error": "\(error)"])
            }
            // A cancellation ends the sleep early, and then the loop.
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Deletes all processes that are old enough, a limited number in each transaction.
    ///
    /// - Returns: the number of deleted processes.
    @discardableResult
    public func pass(on connection: PostgresConnection) async throws -> Int {
        let (day, now) = (Int64(86_400_000_000), clock())
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(Timestamp(microseconds: now.microseconds - Int64(keptDays) * day))
        parameters.append(Int32(Self.limit))
        var total = 0
        while !Task.isCancelled {
            let deleted = try await connection.execute(Self.deletion, parameters).affectedRows
            total += deleted
            Counter(label: "millrace_processes_pruned_total", dimensions: [("process", process)])
                .increment(by: deleted)
            if deleted == 0 { break }
        }
        return total
    }

    /// A locked process either continues, or another session deletes it.
    private static let deletion: Statement = """
        WITH old AS (
            SELECT process, process_id FROM processes
            WHERE process = $1 AND is_finished AND updated_at < $2
            ORDER BY updated_at LIMIT $3 FOR UPDATE SKIP LOCKED
        ), steps AS (
            DELETE FROM process_steps AS s USING old WHERE s.process_id = old.process_id AND s.process = old.process
        )
        DELETE FROM processes AS p USING old WHERE p.process = old.process AND p.process_id = old.process_id
        """
}
