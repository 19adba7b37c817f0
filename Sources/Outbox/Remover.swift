/// Removes the rows that Kafka has acknowledged, in the session that holds the lock, while others are read and sent.
struct Remover: Sendable {
    let session: LockSession
    let flight: Flight
    let rowsAtOnce: Int
    let reports: RelayReports

    /// Between two looks at the lock when there is nothing to remove.
    private static let heartbeat = Duration.seconds(1)
    /// A few rows wait so long for company: a statement a row would cost the server more than all else.
    private static let linger = Duration.milliseconds(5)

    /// Runs until ``Flight/finish()`` was called and all is removed.
    ///
    /// - Throws: what broke the session; the flight is told before.
    func run() async throws {
        do {
            while true {
                let ids = flight.takeAcknowledged(limit: rowsAtOnce)
                if ids.isEmpty {
                    if flight.isFinished { return }
                    await flight.removerBell.wait(atMost: Self.heartbeat)
                    if ContinuousClock.now - flight.lastContact >= Self.heartbeat {
                        try await session.verify()
                        flight.noteContact()
                    }
                    continue
                }
                try await session.remove(ids)
                flight.finishRemoval()
                reports.removed(ids.count)
                if ids.count < rowsAtOnce / 4, !flight.isFinished { try await Task.sleep(for: Self.linger) }
            }
        } catch {
            flight.lose(error)
            throw error
        }
    }
}
