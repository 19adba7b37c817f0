internal import Postgres
internal import StreamCore

/// A transaction failed while it applied these items.
struct ApplyFault: Error {
    let items: ItemSelection
    let cause: any Error
}

/// Events could not be applied, and one of them may be to blame.
struct WriteFault: Sendable {
    enum Cause: Sendable {
        /// Only an event can cause the error.
        case event(ItemFailure)
        /// The error seldom is an event's: a table is missing, but only for the trigger of one row; a lock or a
        /// timeout, which pass by themselves as a rule. As the failure of an event, and as the database's.
        case doubtful(ItemFailure, DatabaseFailure)
    }

    /// The items that the transaction was applying.
    let items: ItemSelection
    let cause: Cause
    /// The event that the error names, or that was applied alone.
    var culprit: Int?
    /// The first event whose aggregate the server names when it quotes the row that it refuses. A mere guess, which
    /// saves tries when it is right.
    var suspect: Int?
    /// The server's plan was outdated, perhaps. By now the statements are prepared again.
    var mayBeOutdated = false
}

extension WriteFault {
    /// - Returns: nil when no event can be to blame.
    init?<Event>(_ fault: ApplyFault, in batch: PreparedBatch<Event>) {
        let items = fault.items
        self.items = items
        let alone = items.count == 1 ? items.first : nil
        let error = fault.cause as? PostgresError
        suspect = error.flatMap { Self.suspect($0, items, batch) }
        mayBeOutdated = error?.sqlState?.mayBeOutdatedStatement == true
        if let failure = EventFailure(applying: fault.cause) {
            let named = failure.eventID.flatMap { id in items.first { batch.identity($0)?.eventID == id } }
            let culprit = alone ?? named
            let id = failure.eventID ?? culprit.flatMap { batch.identity($0)?.eventID }
            self.culprit = culprit
            cause = .event(
                ItemFailure(stage: .apply, failure: EventFailure(failure.errorClass, failure.message, eventID: id)))
        } else if let error, let failure = ItemFailure(doubtful: error) {
            culprit = alone
            cause = .doubtful(failure, DatabaseFailure(kind: error.kind, underlying: error))
        } else {
            return nil
        }
    }

    private static func suspect<Event>(
        _ error: PostgresError, _ items: ItemSelection, _ batch: PreparedBatch<Event>
    ) -> Int? {
        guard let detail = error.detail else { return nil }
        let words = Set(detail.split { "(),=\"' ".contains($0) })
        return items.first { item in batch.identity(item).map { words.contains($0.aggregateID[...]) } ?? false }
    }
}

extension EventFailure {
    /// nil when the error is none that only an event can cause.
    fileprivate init?(applying error: any Error) {
        switch error {
        case let failure as EventFailure: self = failure
        case TransactionError.rolledBack(let cause): self.init(applying: cause)
        case let error as PostgresError:
            guard error.kind == .permanent else { return nil }
            self.init(error.sqlState.map { "sql_\($0)" } ?? "sql_value", error.description)
        case is any BatchEnd, is TransactionError, is CancellationError, is LetterError: return nil
        default:
            let name = "\(type(of: error))"
            self.init(name, "applying it failed with \(name)")
        }
    }
}

extension ItemFailure {
    /// An event's failure with an error that need not be its own; nil when it cannot be.
    fileprivate init?(doubtful error: PostgresError) {
        guard error.kind != .permanent, error.mayConcernOneRow else { return nil }
        let errorClass = error.sqlState.map { "sql_\($0)" } ?? "sql_timeout"
        self.init(stage: .apply, failure: EventFailure(errorClass, error.description))
    }
}

// MARK: what ends a transaction

/// An error of the writer's own that says what a batch's transaction came to.
protocol BatchEnd: Error {
    var outcome: RunnerState.Input { get }
}

/// Another owner moved the offsets.
struct Fenced: BatchEnd {
    var outcome: RunnerState.Input { .written(.fenced) }
}

/// PostgreSQL refuses a statement about parking for good: no event is to blame.
struct ParkingRefused: BatchEnd {
    let cause: PostgresError

    var outcome: RunnerState.Input {
        .databaseFailed(DatabaseFailure(kind: .everything, underlying: cause))
    }
}

/// A slice would park more events of a partition than its circuit breaker allows.
struct SliceTooLong: BatchEnd {
    /// Of such partitions' parts, the first item that may not be in it.
    let cuts: [Int: Int]

    var outcome: RunnerState.Input { .written(.tooLong(cuts)) }
}

/// A slice needs letters that cannot be written.
struct LettersMissing: BatchEnd {
    /// Of the parts that need some, the first item that does.
    let cuts: [Int: Int]
    /// nil when it was known before, and nothing was sent.
    let error: LetterError?
    let undelivered: UndeliveredLetter?

    var outcome: RunnerState.Input { .written(.lettersMissing(cuts, error)) }
}

/// Events were found that fail, but not all there is to be known for a commit around them.
struct FoundFailing: BatchEnd {
    let failures: [Int: ItemFailure]

    var outcome: RunnerState.Input { .written(.failing(failures)) }
}

/// Events fail, each by itself, with an error that is seldom an event's, and none was applied beside them: whether it
/// is they who are to blame is not known.
struct Unproven: BatchEnd {
    let failures: [Int: ItemFailure]
    let cause: DatabaseFailure

    var outcome: RunnerState.Input { .written(.unproven(failures, cause)) }
}

/// An event that failed alone passes now: the error was none of its own.
struct PassesNow: BatchEnd {
    let cause: DatabaseFailure

    var outcome: RunnerState.Input { .databaseFailed(cause) }
}

extension RunnerState.Input {
    /// What the end of a batch's transaction by an error means.
    init<Event>(failed fault: ApplyFault, in batch: PreparedBatch<Event>) {
        switch fault.cause {
        case let end as any BatchEnd: self = end.outcome
        case TransactionError.unknownOutcome(let cause):
            self = .written(.unknown(DatabaseFailure(kind: .transient, underlying: cause)))
        default:
            if let fault = WriteFault(fault, in: batch) {
                self = .written(.failed(fault))
            } else {
                self = .databaseFailed(DatabaseFailure(of: fault.cause))
            }
        }
    }
}

extension DatabaseFailure {
    /// What an error means where no event can be to blame.
    init(of error: any Error) {
        if case TransactionError.rolledBack(let cause) = error {
            self.init(of: cause)
            return
        }
        let kind: FailureKind =
            switch error {
            case let error as TransactionError: error.kind
            case let error as PostgresError: error.kind
            default: .transient
            }
        self.init(kind: kind == .permanent ? .everything : kind, underlying: error)
    }

    /// The server or the client gave a statement up for the time it took.
    var isTooSlow: Bool {
        guard let error = underlying as? PostgresError else { return false }
        return error.kind == .transient && (error.sqlState == .queryCanceled || error.code == .deadlineExceeded)
    }
}
