internal import Events
internal import Postgres
internal import StreamCore

/// The commands of one transaction: what they read, how they are decided, and what they write.
///
/// They are decided one after the other in memory. Each sees the changes that those before it made to an aggregate. A
/// transaction takes two round trips, regardless of the number of commands. The first reads and locks, the second
/// writes and commits. If the reads of a handler depend on earlier reads, there is another round trip between the two.
final class CommandWork {
    let now: Timestamp
    private let repositories: [ObjectIdentifier: any Repository]
    private let caches: FactCaches?
    private let trustsCaches: Bool
    /// In the order in which they were created; see ``pendingReads(behind:)``.
    private var sessions: [(key: ObjectIdentifier, session: any WorkSession)] = []
    private var answers = AnswerTable()
    private var outbox = OutboxRows()
    /// The events of the command that is being decided.
    var staged: [(inout OutboxRows) -> Void] = []
    /// The read models that the transaction updates.
    let inline: InlineWork
    /// The transaction's id and the start of its server, which are needed to ask for its result.
    private(set) var transaction: (id: String, serverStart: String)?
    /// One answer for each command, in their order. They exist after the decisions.
    private(set) var replies: [CommandReply] = []
    private var random = SystemRandomNumberGenerator()

    /// - Parameter trustsCaches: whether cached facts are used instead of reading them.
    init(
        _ repositories: [ObjectIdentifier: any Repository], _ readModels: (any InlineReadModels)?,
        _ caches: FactCaches?, trustsCaches: Bool, now: Timestamp
    ) {
        self.repositories = repositories
        inline = InlineWork(readModels)
        self.caches = caches
        self.trustsCaches = trustsCaches
        self.now = now
    }

    func newID() -> EventID { EventID(version7At: now, using: &random) }

    // MARK: sessions

    func session<D: Decider>(of _: D.Type) -> AggregateSession<D> {
        let key = ObjectIdentifier(D.self)
        if let found = sessions.first(where: { $0.key == key })?.session as? AggregateSession<D> { return found }
        guard let repository = repositories[key] as? any Repository<D> else {
            preconditionFailure("\(D.self) has no repository, because its handler did not name it")
        }
        let session = AggregateSession<D>(repository)
        sessions.append((key, session))
        return session
    }

    func facts<F: Fact>(_: F.Type) -> FactSession<F> {
        let key = ObjectIdentifier(F.self)
        if let found = sessions.first(where: { $0.key == key })?.session as? FactSession<F> { return found }
        let session = FactSession<F>(caches?.cache(of: F.self), trustsCache: trustsCaches)
        sessions.append((key, session))
        return session
    }

    // MARK: the way of a transaction

    /// Reads, decides and queues the writes, which are sent with COMMIT.
    ///
    /// - Parameter channel: the channel of a NOTIFY after COMMIT, if there are events; nil for none.
    func run(
        _ batch: [PendingCommand.Job], notifying channel: String?, in transaction: PostgresTransaction
    ) async throws {
        var plans: [ReadPlan] = []
        for job in batch {
            var plan = ReadPlan(self)
            if case .command(let command, let handler, let request) = job {
                handler.plan(command, &plan)
                if let key = request.idempotencyKey { answers.want(key) }
            }
            plans.append(plan)
        }
        let queries = try await read(batch, transaction)
        try await readFurther(batch, plans, transaction)
        replies = []
        for (index, job) in batch.enumerated() {
            switch job {
            case .query: replies.append(.rows(queries[index] ?? []))
            case .command(let command, let handler, let request):
                replies.append(decide(command, handler, request, plans[index]))
            }
        }
        for (statement, parameters) in writes() { try await transaction.enqueue(statement, parameters) }
        try await inline.apply(in: transaction)
        if outbox.count > 0, let channel { try await transaction.notify(channel) }
    }

    /// The first round trip: reads and locks.
    private func read(
        _ batch: [PendingCommand.Job], _ transaction: PostgresTransaction
    ) async throws -> [Int: [QueryResult]] {
        var statements: Statements = answers.lookup
        let hasAnswers = !statements.isEmpty
        var queries: [(index: Int, count: Int)] = []
        for (index, job) in batch.enumerated() {
            guard case .query(let asked) = job else { continue }
            statements += asked
            queries.append((index, asked.count))
        }
        // The statement assigns a transaction id. It is needed anyway, because a command locks or writes rows.
        let writes = queries.count < batch.count
        if writes {
            statements.append(("SELECT pg_current_xact_id()::text, pg_postmaster_start_time()::text", Parameters()))
        }
        let own = statements.count
        if writes { statements += InlineWork.reads }
        let reads = pendingReads(behind: &statements)
        let results = try await transaction.pipeline(statements)
        var taken = 0
        if hasAnswers {
            try answers.take(results[0])
            taken = 1
        }
        var found: [Int: [QueryResult]] = [:]
        for (index, count) in queries {
            found[index] = Array(results[taken..<taken + count])
            taken += count
        }
        if writes {
            self.transaction = (try results[own - 1].string(0, 0), try results[own - 1].string(0, 1))
            try inline.take(results[own + InlineWork.reads.count - 1])
        }
        try take(reads, results)
        return found
    }

    /// A second round trip of reads, if a handler needs one.
    private func readFurther(
        _ batch: [PendingCommand.Job], _ plans: [ReadPlan], _ transaction: PostgresTransaction
    ) async throws {
        for (job, var plan) in zip(batch, plans) {
            guard case .command(let command, let handler, let request) = job, let further = handler.furtherPlan
            else { continue }
            further(command, CommandScope(work: self, request: request, commandID: newID()), &plan)
        }
        var statements: Statements = []
        let reads = pendingReads(behind: &statements)
        if statements.isEmpty { return }
        try take(reads, try await transaction.pipeline(statements))
    }

    /// The reads of the sessions, ordered by the names of their types. So all transactions take their locks in the same
    /// order.
    private func pendingReads(behind statements: inout Statements) -> [(any WorkSession, Range<Int>)] {
        var reads: [(any WorkSession, Range<Int>)] = []
        let ordered = sessions.map { (name: "\(type(of: $0.session))", session: $0.session) }
            .sorted { $0.name < $1.name }
        for (_, session) in ordered {
            let own = session.pendingReads()
            if own.isEmpty { continue }
            reads.append((session, statements.count..<statements.count + own.count))
            statements += own
        }
        return reads
    }

    private func take(_ reads: [(any WorkSession, Range<Int>)], _ results: [QueryResult]) throws {
        for (session, range) in reads { try session.take(results[range]) }
    }

    private func decide(
        _ command: any Command, _ handler: CommandHandler, _ request: CommandRequest, _ plan: ReadPlan
    ) -> CommandReply {
        if let key = request.idempotencyKey, let kept = answers.answer(to: key) {
            guard kept.fingerprint == key.fingerprint else { return .failed(.keyReused) }
            return .outcome(CommandOutcome(kept.verdict, isReplay: true), events: 0)
        }
        if let expected = request.expectedVersion, let version = plan.primaryVersion?(request.metadata.tenantID),
            version != expected
        {
            return .failed(.versionMismatch(current: version))
        }
        guard let verdict = decide(command, handler, request) else { return .again }
        let events = staged.count
        for append in staged { append(&outbox) }
        staged = []
        inline.keepStep()
        if let key = request.idempotencyKey { answers.keep(verdict, of: handler.name, for: key, at: now) }
        return .outcome(CommandOutcome(verdict, events: events), events: events)
    }

    /// - Returns: nil if the handler used something that was not read. Then nothing was decided.
    private func decide(
        _ command: any Command, _ handler: CommandHandler, _ request: CommandRequest
    ) -> CommandOutcome.Verdict? {
        let verdict: CommandOutcome.Verdict
        let scope = CommandScope(work: self, request: request, commandID: newID())
        do throws(Refusal) {
            verdict = .accepted(try handler.handle(command, scope))
        } catch {
            verdict = .refused(error)
        }
        let missed = sessions.contains { $0.session.missed }
        if !missed, case .accepted = verdict {
            for (_, session) in sessions { session.keepStep() }
            return verdict
        }
        for (_, session) in sessions { session.undoStep() }
        staged = []
        inline.undoStep()
        return missed ? nil : verdict
    }

    /// Whether the stored aggregates have the changes of this transaction; nil if that cannot be seen.
    func isStored(on connection: PostgresConnection) async throws -> Bool? {
        var statements: Statements = []
        var proofs: [(session: any WorkSession, range: Range<Int>)] = []
        for (_, session) in sessions {
            let own = session.proofReads()
            if own.isEmpty { continue }
            proofs.append((session, statements.count..<statements.count + own.count))
            statements += own
        }
        if statements.isEmpty { return nil }
        let results = try await connection.pipeline(statements)
        for (session, range) in proofs {
            if let isStored = try session.isStored(results[range]) { return isStored }
        }
        return nil
    }

    private func writes() -> Statements {
        var writes: Statements = []
        for (_, session) in sessions { writes += session.writes() }
        if outbox.count > 0 { writes.append((outbox.insertion.statement, outbox.insertion.parameters)) }
        return writes + answers.insertion
    }
}

/// The reply to the task that waits for a command or a query.
enum CommandReply: Sendable {
    /// - events: the number of events.
    case outcome(CommandOutcome, events: Int)
    case rows([QueryResult])
    case failed(CommandFailure)
    /// The command must be decided in another transaction.
    case again
}
