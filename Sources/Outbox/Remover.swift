internal import Leadership
internal import Postgres
internal import StreamCore

/// Removes the rows that Kafka has acknowledged, in the session that holds the lock, while other rows are read and
/// sent.
///
/// A removal that the server refuses does not end the session. Otherwise the relay would forget the rows and publish
/// them again at each attempt. The rows stay in the flight table as published, and the remover tries again less and
/// less often. If there are too many of them, no more rows are sent.
struct Remover: Sendable {
    let writer: OutboxWriter
    let flight: Flight
    let rowsAtOnce: Int
    let reports: RelayReports

    /// Interval of checking the lock while there is nothing to remove.
    private static let heartbeat = Duration.seconds(1)
    /// Time that a few rows wait for more, because one statement for each row would be expensive.
    private static let linger = Duration.milliseconds(5)
    /// Maximum number of statements in one removal that search for the rows that cannot be removed.
    private static let searchLimit = 40

    /// Runs until ``Flight/finish()`` was called and all removable rows are removed.
    ///
    /// - Throws: the error that broke the session. The flight is informed before.
    func run() async throws {
        var retries = Backoff(initial: .seconds(1), ceiling: .seconds(60))
        var retryAt: ContinuousClock.Instant?
        do {
            while true {
                if let due = retryAt, due <= .now {
                    flight.retryUnremoved()
                    retryAt = nil
                }
                let ids = flight.takeAcknowledged(limit: rowsAtOnce)
                if ids.isEmpty {
                    if flight.isFinished { return }
                    await flight.removerSignal.wait(atMost: Self.heartbeat)
                    if ContinuousClock.now - flight.lastContact >= Self.heartbeat {
                        try await writer.lock.verify()
                        flight.noteContact()
                    }
                    continue
                }
                let left = try await remove(ids)
                flight.finishRemoval(leaving: left.ids)
                if left.ids.count < ids.count { reports.removed(ids.count - left.ids.count) }
                let unremoved = flight.unremovedRows
                if let error = left.error {
                    reports.cannotRemove(unremoved, error)
                    if retryAt == nil { retryAt = .now + retries.next() }
                } else if unremoved == 0 {
                    reports.canRemove()
                    retries.reset()
                }
                if ids.count < rowsAtOnce / 4, !flight.isFinished { try await Task.sleep(for: Self.linger) }
            }
        } catch {
            flight.lose(error)
            throw error
        }
    }

    /// The rows that a removal left, ascending, and the reason.
    private struct Left {
        var ids: [Int64] = []
        var error: (any Error)?
    }

    private func remove(_ ids: [Int64]) async throws -> Left {
        var statements = Self.searchLimit
        return try await remove(ids[...], &statements)
    }

    /// Removes rows. If the server refuses permanently, the rows that cause the refusal are searched by halving.
    private func remove(_ ids: ArraySlice<Int64>, _ statements: inout Int) async throws -> Left {
        statements -= 1
        do throws(PostgresError) {
            let count = try await writer.remove(Array(ids))
            if count >= ids.count { return Left() }
            let remaining = try await writer.remaining(Array(ids))
            return Left(ids: remaining, error: remaining.isEmpty ? nil : RemovalIgnored())
        } catch {
            if error.endsConnection || error.code == .cancelled { throw error }
            guard error.kind != .transient, ids.count > 1, statements > 0 else {
                return Left(ids: Array(ids), error: error)
            }
            let middle = ids.startIndex + ids.count / 2
            let first = try await remove(ids[..<middle], &statements)
            let second = try await remove(ids[middle...], &statements)
            return Left(ids: first.ids + second.ids, error: first.error ?? second.error)
        }
    }
}

/// The server reported no error, but the row still exists.
struct RemovalIgnored: Error, CustomStringConvertible {
    var description: String {
        "the server removed no rows and reported no error; check row security and triggers of the table"
    }
}
