internal import Postgres
internal import StreamCore

/// A transaction failed while it was applying these items.
struct ApplyFault: Error {
    let items: ItemSelection
    let cause: any Error
}

/// Events could not be applied, and one of them may be the cause.
struct WriteFault: Sendable {
    enum Cause: Sendable {
        /// Only an event can cause the error.
        case event(ItemFailure)
        /// The error is rarely caused by an event. For example, a table is missing, but only the trigger of one row
        /// needs it; or it is a lock or a timeout, which are usually temporary. The error is given both as the failure
        /// of an event and as a failure of the database.
        case doubtful(ItemFailure, DatabaseFailure)
    }

    /// The items that the transaction was applying.
    let items: ItemSelection
    let cause: Cause
    /// The event that the error names, or the only one.
    var culprit: Int?
    /// The first event whose aggregate the server names when it quotes the refused row. This is a guess that saves
    /// attempts if it is right.
    var suspect: Int?
    /// Whether the server's plan may have been outdated. The statements have been prepared again since.
    var mayBeOutdated = false
}

extension WriteFault {
    /// - Returns: nil if no event can be the cause.
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
    /// - Returns: nil if the error can have other causes than an event.
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
    /// The failure of an event with an error that it may not have caused.
    ///
    /// - Returns: nil if an event cannot cause the error.
    fileprivate init?(doubtful error: PostgresError) {
        guard error.kind != .permanent, error.mayConcernOneRow else { return nil }
        let errorClass = error.sqlState.map { "sql_\($0)" } ?? "sql_timeout"
        self.init(stage: .apply, failure: EventFailure(errorClass, error.description))
    }
}

// MARK: errors that end a transaction

/// An error of the writer itself, which determines the outcome of a batch's transaction.
protocol BatchEnd: Error {
    var outcome: RunnerState.Input { get }
}

/// Another owner moved the offsets.
struct Fenced: BatchEnd {
    var outcome: RunnerState.Input { .written(.fenced) }
}

/// PostgreSQL permanently refuses a statement for parking, so no event is the cause.
struct ParkingRefused: BatchEnd {
    let cause: PostgresError

    var outcome: RunnerState.Input {
        .databaseFailed(DatabaseFailure(kind: .everything, underlying: cause))
    }
}

/// A slice would park more events of a partition than its circuit breaker allows.
struct SliceTooLong: BatchEnd {
    /// For each part that is too long, the first item that must not be in it.
    let cuts: [Int: Int]

    var outcome: RunnerState.Input { .written(.tooLong(cuts)) }
}

/// A slice needs letters that cannot be written.
struct LettersMissing: BatchEnd {
    /// For each part that needs letters, the first item that does.
    let cuts: [Int: Int]
    /// nil if the outage was known before, and nothing was sent.
    let error: LetterError?
    let undelivered: UndeliveredLetter?

    var outcome: RunnerState.Input { .written(.lettersMissing(cuts, error)) }
}

/// Failing events were found, but not enough is known to commit around them.
struct FoundFailing: BatchEnd {
    let failures: [Int: ItemFailure]

    var outcome: RunnerState.Input { .written(.failing(failures)) }
}

/// Each of these events fails with an error that a single event rarely causes, and no other event was applied. It is
/// therefore unknown whether the events are the cause.
struct Unproven: BatchEnd {
    let failures: [Int: ItemFailure]
    let cause: DatabaseFailure

    var outcome: RunnerState.Input { .written(.unproven(failures, cause)) }
}

/// An event that failed alone succeeds now, so it did not cause the error.
struct PassesNow: BatchEnd {
    let cause: DatabaseFailure

    var outcome: RunnerState.Input { .databaseFailed(cause) }
}

extension RunnerState.Input {
    /// The input that corresponds to the error of a batch's transaction.
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
    /// The failure for an error that no event can cause.
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

    /// Whether the server or the client cancelled a statement because it took too long.
    var isTooSlow: Bool {
        guard let error = underlying as? PostgresError else { return false }
        return error.kind == .transient && (error.sqlState == .queryCanceled || error.code == .deadlineExceeded)
    }
}
