public import Commands
internal import Events
internal import Postgres
public import StreamCore

/// Handles events and deadlines of one kind of process in the caller's transactions.
///
/// The sequence, all in one transaction: lock the processes → policy → commands → their answers → policy … → write the
/// processes and their history. The commands write state, events and outbox rows in the same transaction. So a step is
/// carried out exactly once, and always completely.
public struct ProcessEngine<Policy: ProcessPolicy>: Sendable {
    let policy: Policy
    let table: ProcessTable
    let clock: @Sendable () -> Timestamp
    private let commands: CommandExecutor

    /// - Parameters:
    ///   - commands: carries out the commands of all steps.
    ///   - clock: the time of day.
    public init(
        _ policy: Policy, _ commands: CommandExecutor, clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.policy = policy
        self.commands = commands
        self.clock = clock
        table = ProcessTable(process: policy.name)
    }

    /// Handles events. The events of each process are handled in order.
    func handle(_ events: [Event<Policy.Payload>], in transaction: PostgresTransaction) async throws {
        let inputs = events.compactMap { event in policy.process(of: event).map { (id: $0, event: event) } }
        if inputs.isEmpty { return }
        let now = clock()
        let stored: [StoredProcess<Policy.State>] = try await table.load(
            Set(inputs.map(\.id)).sorted(), in: transaction)
        var work = ProcessWork(policy, stored, at: now)
        for (id, event) in inputs { work.add(.event(event), to: id) }
        try await finish(&work, now, in: transaction)
    }

    /// Handles the oldest deadline that has passed.
    ///
    /// - Parameter id: set to the process's id as soon as it is known.
    /// - Returns: false if no deadline has passed.
    func handleDeadline(of id: inout String?, in transaction: PostgresTransaction) async throws -> Bool {
        let now = clock()
        typealias Due = (id: String, read: () throws -> StoredProcess<Policy.State>)
        guard let due: Due = try await table.loadDue(at: now, in: transaction) else { return false }
        id = due.id
        var work = ProcessWork(policy, [try due.read()], at: now)
        work.add(.deadline, to: due.id)
        try await finish(&work, now, in: transaction)
        if work.isDue(due.id) { throw ProcessLoop(process: policy.name) }
        return true
    }

    private func finish(
        _ work: inout ProcessWork<Policy>, _ now: Timestamp, in transaction: PostgresTransaction
    ) async throws {
        while true {
            let steps = work.advance()
            if steps.isEmpty { break }
            let verdicts = try await commands.carryOut(
                steps.map { ($0.command, request(of: $0.process)) }, at: now, in: transaction)
            try work.answer(Array(zip(steps, verdicts)))
        }
        for (statement, parameters) in table.writes(work, at: now) {
            try await transaction.enqueue(statement, parameters)
        }
    }

    private func request(of process: StoredProcess<Policy.State>) -> CommandRequest {
        CommandRequest(
            metadata: EventMetadata(tenantID: process.tenantID, source: policy.name),
            correlationID: process.correlationID)
    }
}
