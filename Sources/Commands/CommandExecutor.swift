public import Postgres
public import StreamCore

/// Carries out commands in a transaction that somebody else makes, for example the transaction of a projection. State,
/// events and outbox rows are committed with it, or none of them.
///
/// There are no idempotency keys: the transaction itself must see to it that a command is carried out once.
public struct CommandExecutor: Sendable {
    private let handlers: [ObjectIdentifier: CommandHandler]
    private let repositories: [ObjectIdentifier: any Repository]

    /// Settings for the sessions that carry out commands. All statements go by keys: one plan suits all values, and a
    /// plan that was made while a table was empty must not read the whole of it for ever.
    public static let sessionSettings = [
        "plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off",
        "enable_mergejoin": "off", "jit": "off",
    ]

    /// - Parameter commands: all that will be carried out; each must have a handler.
    /// - Throws: ``CommandBusError`` that names all that does not fit together.
    public init(
        commands: [any Command.Type], handlers: [CommandHandler], repositories: [any Repository]
    ) throws(CommandBusError) {
        let checked = try CommandBusCheck(commands, handlers, repositories, CommandBusConfiguration()).tables()
        self.handlers = checked.handlers
        self.repositories = checked.repositories
    }

    /// Carries out commands in their order. Each sees what those before it have changed. A command that a rule refuses
    /// changes nothing, and the others are carried out.
    ///
    /// The aggregates stay locked until the transaction ends.
    ///
    /// - Parameter now: the earliest time of the events.
    /// - Returns: one verdict a command.
    /// - Throws: `PostgresError`; a conflict with another writer is a serialization failure, which passes when the
    ///   transaction is repeated. Other errors as the repositories throw them.
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
            let work = CommandWork(repositories, nil, nil, trustsCaches: false, now: now)
            do {
                try await work.run(left.map { jobs[$0] }, in: transaction)
                // A write that fails must fail here, where it is known for what it is.
                try await transaction.flush()
            } catch let error as PostgresError where error.sqlState == .versionConflict {
                throw PostgresError(.server, error.message, sqlState: .serializationFailure)
            } catch let failure as InlineFailure {
                // Read models that commands apply are not known here: nothing works until they are handed back.
                throw PostgresError(.usage, "\(failure)")
            }
            let undecided = try zip(left, work.replies).filter { index, reply in
                switch reply {
                case .outcome(let outcome, _):
                    verdicts[index] = outcome.verdict
                    return false
                case .again: return true
                case .failed, .rows: throw StoredStateError("a command has neither a key nor an expected version here")
                }
            }
            // The first of them is decided with all that it asked for.
            if undecided.count == left.count { throw StoredStateError("a handler reads what it did not ask for") }
            left = undecided.map(\.0)
        }
        return verdicts.compactMap(\.self)
    }
}
