public import Postgres
public import StreamCore

/// Carries out commands in the caller's transaction, for example the transaction of a projection. State, events and
/// outbox rows are committed with it, or none of them.
///
/// There are no idempotency keys. The caller's transaction must ensure that a command is carried out once.
public struct CommandExecutor: Sendable {
    private let handlers: [ObjectIdentifier: CommandHandler]
    private let repositories: [ObjectIdentifier: any Repository]
    private let readModels: (any InlineReadModels)?
    private let notifyChannel: String?

    /// Settings for the sessions that carry out commands. All statements select rows by key, so one generic plan suits
    /// all values. Sequential scans are disabled because a plan that was made while a table was empty would otherwise
    /// keep scanning the table after it has grown.
    public static let sessionSettings = [
        "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off",
        "enable_mergejoin": "off", "jit": "off",
    ]

    /// - Parameters:
    ///   - commands: the types of all commands that will be carried out. Each must have a handler.
    ///   - readModels: applies events to the read models that commands update; nil if this program cannot. No command
    ///     can then be carried out while the database has such a read model.
    ///   - notifyChannel: the channel of a NOTIFY after the commit of each transaction with events, for a relay; nil
    ///     for none.
    /// - Throws: ``CommandBusError`` with all problems of the arguments.
    public init(
        commands: [any Command.Type], handlers: [CommandHandler], repositories: [any Repository],
        readModels: (any InlineReadModels)? = nil, notifyChannel: String? = nil
    ) throws(CommandBusError) {
        self.readModels = readModels
        self.notifyChannel = notifyChannel
        let checked = try CommandBusCheck(commands, handlers, repositories, CommandBusConfiguration()).tables()
        self.handlers = checked.handlers
        self.repositories = checked.repositories
    }

    /// Carries out commands in their order. Each sees the changes of those before it. If a rule refuses a command, it
    /// changes nothing, and the others are carried out.
    ///
    /// The aggregates stay locked until the transaction ends.
    ///
    /// - Parameter now: the earliest time of the events.
    /// - Returns: one verdict for each command.
    /// - Throws: `PostgresError`. A conflict with another writer is a serialization failure, for which the caller
    ///   repeats the transaction. Also the errors of the repositories.
    public func carryOut(
        _ commands: [(command: any Command, request: CommandRequest)], at now: Timestamp,
        in transaction: PostgresTransaction
    ) async throws -> [CommandOutcome.Verdict] {
        let jobs = try commands.map { given in
            guard let handler = handlers[ObjectIdentifier(type(of: given.command))] else {
                throw StoredStateError("\(type(of: given.command).name) has no handler")
            }
            return PendingCommand.Job.command(given.command, handler, given.request)
        }
        var verdicts = [CommandOutcome.Verdict?](repeating: nil, count: jobs.count)
        var left = Array(jobs.indices)
        while !left.isEmpty {
            let work = CommandWork(repositories, readModels, nil, trustsCaches: false, now: now)
            do {
                try await work.run(left.map { jobs[$0] }, notifying: notifyChannel, in: transaction)
                // A write that fails must fail here, where its error can be attributed to the commands.
                try await transaction.flush()
            } catch let error as PostgresError where error.sqlState == .versionConflict {
                throw PostgresError(.server, error.message, sqlState: .serializationFailure)
            } catch let failure as InlineFailure {
                throw failure.inTransaction
            }
            let undecided = try zip(left, work.replies).filter { index, reply in
                switch reply {
                case .outcome(let outcome, _):
                    verdicts[index] = outcome.verdict
                    return false
                case .again: return true
                case .failed, .rows:
                    throw StoredStateError(
                        "a command of an executor failed because of an idempotency key or an expected version")
                }
            }
            // The first command is always decided with everything that it asked for.
            if undecided.count == left.count { throw StoredStateError.unplannedRead }
            left = undecided.map(\.0)
        }
        return verdicts.compactMap(\.self)
    }
}
