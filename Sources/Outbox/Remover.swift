internal import Leadership
internal import Postgres
internal import StreamCore

/// Removes the rows that Kafka has acknowledged, in the session that holds the lock, while others are read and sent.
///
/// A removal that the server refuses does not end the session: were the rows forgotten, they would be published again,
/// and so at each try. They stay in the flight as published, are tried again less and less often, and no more is sent
/// when there are too many of them.
struct Remover: Sendable {
    let writer: OutboxWriter
    let flight: Flight
    let rowsAtOnce: Int
    let reports: RelayReports

    /// Between two looks at the lock when there is nothing to remove.
    private static let heartbeat = Duration.seconds(1)
    /// A few rows wait so long for company: a statement a row would cost the server more than all else.
    private static let linger = Duration.milliseconds(5)
    /// Statements by which the rows that cannot be removed are told from the others, at most, in one removal.
    private static let searchLimit = 40

    /// Runs until ``Flight/finish()`` was called and all is removed that can be.
    ///
    /// - Throws: what broke the session; the flight is told before.
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

    /// What a removal left behind, ascending, and why.
    private struct Left {
        var ids: [Int64] = []
        var error: (any Error)?
    }

    private func remove(_ ids: [Int64]) async throws -> Left {
        var statements = Self.searchLimit
        return try await remove(ids[...], &statements)
    }

    /// Removes what can be removed. Where the server refuses for good, the rows at fault are searched by halving.
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

/// The server said nothing, and the row is still there.
struct RemovalIgnored: Error, CustomStringConvertible {
    var description: String {
        "the server removed nothing, without an error: is there row security or a trigger that keeps the rows?"
    }
}
