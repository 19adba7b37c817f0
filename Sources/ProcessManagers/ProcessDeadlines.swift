public import Logging
internal import Metrics
public import Postgres
internal import StreamCore

/// Handles the deadlines of one kind of process.
///
/// Any number of instances may run, in one operating-system process or several. Each takes the oldest deadline and
/// locks its row. The handling of an event locks the same row. So whichever comes second sees the state that the first
/// has written.
public struct ProcessDeadlines<Policy: ProcessPolicy>: Sendable {
    private let engine: ProcessEngine<Policy>
    private let postgres: PostgresConfiguration
    private let poll: Duration
    private let logger: Logger

    /// - Parameters:
    ///   - postgres: the database of the processes and of the commands' aggregates.
    ///   - pollMs: the time between two checks for deadlines, in milliseconds.
    public init(_ engine: ProcessEngine<Policy>, postgres: PostgresConfiguration, pollMs: Int, logger: Logger) {
        self.engine = engine
        self.postgres = postgres
        self.logger = logger
        poll = .milliseconds(pollMs)
    }

    /// Runs until the task is cancelled. It tries again while the database is unavailable.
    ///
    /// - Parameter turned: called after each check and after each deadline.
    public func run(turned: @escaping @Sendable () -> Void = {}) async {
        var lines = RareLines()
        // A counter that appears with its first failure shows no increase, so an alert would miss that failure.
        failures.increment(by: 0)
        while !Task.isCancelled {
            do {
                try await PostgresConnection.with(postgres) { try await run(on: $0, turned) }
            } catch {
                if Task.isCancelled { return }
                if lines.isDue("deadlines", .now) {
                    logger.warning(
                        "deadlines cannot be handled, trying again",
                        metadata: ["process": "\(engine.policy.name)", "error": "\(error)"])
                }
                turned()
                // A cancellation ends the sleep early, and then the loop.
                try? await Task.sleep(for: poll)
            }
        }
    }

    private func run(on connection: PostgresConnection, _ turned: () -> Void) async throws {
        var measuring = Interval(.seconds(15))
        while !Task.isCancelled {
            try await pass(on: connection, turned: turned)
            if measuring.isDue(.now) { try await measure(connection) }
            turned()
            try await Task.sleep(for: poll)
        }
    }

    /// Handles all deadlines that have passed, each in its own transaction. A deadline that fails is postponed and does
    /// not delay the others.
    ///
    /// - Returns: the number of handled deadlines.
    /// - Throws: a database error that does not concern a single process.
    @discardableResult
    public func pass(on connection: PostgresConnection, turned: () -> Void = {}) async throws -> Int {
        var handled = 0
        while !Task.isCancelled {
            var id: String?
            do {
                let isHandled = try await connection.withTransaction { transaction in
                    try await engine.handleDeadline(of: &id, in: transaction)
                }
                if !isHandled { break }
                handled += 1
            } catch {
                guard let id, !Task.isCancelled else { throw error }
                // This also throws if the connection is lost.
                try await engine.table.postpone(id, from: engine.clock(), on: connection)
                failed(error)
            }
            turned()
        }
        return handled
    }

    private func failed(_ error: any Error) {
        failures.increment()
        logger.error(
            "a deadline could not be handled, trying again later",
            metadata: ["process": "\(engine.policy.name)", "error": "\(error)"])
    }

    private var failures: Counter {
        Counter(label: "millrace_process_deadline_failures_total", dimensions: [("process", engine.policy.name)])
    }

    private func measure(_ connection: PostgresConnection) async throws {
        let name = engine.policy.name
        let standing = try await engine.table.standing(at: engine.clock(), on: connection)
        for stage in engine.policy.openStages {
            Gauge(label: "millrace_processes_open", dimensions: [("process", name), ("stage", stage)])
                .record(standing.stages[stage] ?? 0)
        }
        Gauge(label: "millrace_process_deadline_delay_seconds", dimensions: [("process", name)])
            .record(standing.delay)
    }
}
