internal import Postgres
internal import StreamCore

extension Rebuild {
    /// What a promotion did.
    public struct Promotion: Sendable {
        public let version: ModelVersion
        /// The longest that a reader may have waited: from the first lock on a view that was asked for to the commit.
        public let blockedFor: Duration
        /// How often readers were in the way before.
        public let attempts: Int
    }

    /// Readers wait behind a lock that is asked for, so a view is asked for this long only, and all of them together
    /// this long.
    private static var lockTimeoutMs: Int { 15 }
    private static var budget: Duration { .milliseconds(40) }

    /// Shows the version that is being built in the place of the live one.
    ///
    /// One transaction: the live version's offsets are locked, so that it stands; the other one passes it; then each
    /// view is changed. Readers go on all the while but for the moment between the first view's lock and the commit. A
    /// reader that holds a view for longer is never waited for behind a queue of others: the try is taken back, and
    /// made again later.
    ///
    /// - Parameters:
    ///   - isForced: shows a version that no verification has found equal.
    ///   - wait: how long at most the version may take to pass the live one, and readers to get out of the way.
    /// - Throws: ``RebuildRefusal``, `PostgresError`, `TransactionError`.
    public func promote(isForced: Bool, waitingUpTo wait: Duration = .seconds(30)) async throws -> Promotion {
        let deadline = ContinuousClock.now + wait
        // First without a lock: what is far behind must not hold up the live version.
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
                        "readers held the views for longer than \(Self.lockTimeoutMs) ms at each of \(attempts) tries")
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
                // What the live version applies while this asks is passed under the lock.
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
            \(version) has not applied all that the live version has: is its rebuild running? `millrace rebuild status \
            \(model.name)` shows how far it is
            """)
    }

    /// - Returns: when the first lock was asked for; nil when readers were in the way, and nothing is locked.
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
                "the views of \(version) have other columns than those that readers have: \(error.message)")
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
