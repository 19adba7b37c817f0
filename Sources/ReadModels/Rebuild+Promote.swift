internal import Postgres
internal import StreamCore

extension Rebuild {
    /// The result of a promotion.
    public struct Promotion: Sendable {
        public let version: ModelVersion
        /// The maximum time that a reader may have waited: from the first request for a lock on a view to the commit.
        public let blockedFor: Duration
        /// The number of attempts. All but the last one failed because of readers.
        public let attempts: Int
    }

    /// Maximum time to wait for the lock of a view, and maximum time for all views together. They are short, because
    /// new readers wait behind a requested lock.
    private static var lockTimeoutMs: Int { 15 }
    private static var budget: Duration { .milliseconds(40) }

    /// Makes the version that is being built the live one.
    ///
    /// This is one transaction. It locks the offsets of the live version, so that this version stops. It waits until
    /// the new version has passed these offsets, and then changes each view. Readers are blocked only between the lock
    /// of the first view and the commit. If a reader holds a view for longer, the transaction rolls the attempt back
    /// and tries again later, because other readers would wait behind its request for the lock.
    ///
    /// - Parameters:
    ///   - isForced: whether to promote a version that no verification has found equal.
    ///   - wait: the maximum time until the version has passed the live one, and until readers release the views.
    /// - Throws: ``RebuildRefusal``, `PostgresError`, `TransactionError`.
    public func promote(isForced: Bool, waitingUpTo wait: Duration = .seconds(30)) async throws -> Promotion {
        let deadline = ContinuousClock.now + wait
        // This first wait takes no lock, so a version that is far behind does not stop the live version.
        try await passLive(isForced: isForced, until: deadline)
        return try await locked { transaction, versions in
            let policy = RebuildPolicy(model, versions)
            let version = try policy.promotion(isForced: isForced)
            let live = policy.live
            if let live {
                try await transaction.execute(VersionTable.holdOffsets, key(live.version))
                while try await transaction.execute(VersionTable.behind, pair(live, version)).int64(0, 0) > 0 {
                    guard ContinuousClock.now < deadline else { throw behind(version) }
                    try await Task.sleep(for: .milliseconds(5))
                }
                try await transaction.execute(VersionTable.setState, state(live, .superseded))
                try await closeLetters(of: live, in: transaction)
            }
            try await transaction.execute(VersionTable.setState, state(version, .live))
            var attempts = 1
            while true {
                if let asked = try await show(version, in: transaction) {
                    return (version, asked, attempts)
                }
                attempts += 1
                guard ContinuousClock.now < deadline else {
                    throw RebuildRefusal(
                        .readersInTheWay,
                        """
                        readers held the views for longer than \(Self.lockTimeoutMs) ms at each of \(attempts) \
                        attempts; try again
                        """)
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...250)))
            }
        } finished: {
            Promotion(version: $0.0, blockedFor: .now - $0.1, attempts: $0.2)
        }
    }

    private func passLive(isForced: Bool, until deadline: ContinuousClock.Instant) async throws {
        try await withConnection { connection in
            while true {
                let policy = RebuildPolicy(model, try await VersionTable.versions(of: model.name, on: connection))
                let version = try policy.promotion(isForced: isForced)
                let progress = try await progress(of: version, on: connection)
                // The rest, and everything that the live version applies in the meantime, is passed under the lock.
                if progress.hasReachedEnds, progress.behindLive < Self.nearlyPassed { return }
                guard ContinuousClock.now < deadline else { throw behind(version) }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private static var nearlyPassed: Int64 { 5_000 }

    private func behind(_ version: ModelVersion) -> RebuildRefusal {
        RebuildRefusal(
            .behind,
            """
            \(version) has not applied all events that the live version has applied: check that its rebuild is \
            running; `millrace rebuild status \(model.name)` shows the progress
            """)
    }

    /// - Returns: the time at which the first lock was requested; nil if readers held a view. Nothing is locked then.
    private func show(
        _ version: ModelVersion, in transaction: PostgresTransaction
    ) async throws -> ContinuousClock.Instant? {
        let asked = ContinuousClock.now
        do {
            try await transaction.withSavepoint {
                _ = try await transaction.execute(
                    script: "SET LOCAL lock_timeout = '\(Self.lockTimeoutMs)ms'")
                try await model.tables.show(version, in: transaction)
                if ContinuousClock.now - asked > Self.budget { throw TooLong() }
            }
            return asked
        } catch is TooLong {
            return nil
        } catch let error as PostgresError where error.sqlState == .lockNotAvailable {
            return nil
        } catch let error as PostgresError where error.sqlState?.code == "42P16" {
            throw RebuildRefusal(
                .otherViews,
                "the views of \(version) have other columns than the current views: \(error.message)")
        } catch let error as PostgresError where error.sqlState?.code == "2BP01" {
            throw RebuildRefusal(
                .otherViews,
                """
                \(version) has other columns or tables than the live one, and other objects depend on a view of those: \
                \(error.message)\(error.detail.map { "; \($0)" } ?? "")
                """)
        }
    }

    private struct TooLong: Error {}

    private func state(_ version: ModelVersion, _ state: ModelVersion.State) -> Parameters {
        Parameters {
            $0.append(model.name)
            $0.append(Int32(version.version))
            $0.append(state.rawValue)
        }
    }

    private func locked<Value: Sendable, Result: Sendable>(
        _ body: (PostgresTransaction, [ModelVersion]) async throws -> Value, finished: (Value) -> Result
    ) async throws -> Result {
        let value = try await locked(body)
        return finished(value)
    }
}
