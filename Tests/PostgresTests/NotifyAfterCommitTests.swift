import Postgres
import TestKit
import Testing

@Suite struct NotifyAfterCommitTests {
    private struct Refused: Error {}

    /// Runs `body` with a session. Returns the number of notifications that a listener receives before the last one.
    private func heard(
        _ body: (PostgresConnection, _ channel: String) async throws -> Void
    ) async throws -> Int {
        try await TestDatabase.withSchema { configuration in
            let channel = configuration.schema + " \"quoted\""
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let sender = try await PostgresConnection.connect(configuration)
            try await sender.execute(script: "CREATE TABLE kept (n int PRIMARY KEY)")
            try await body(sender, channel)
            try await sender.execute("SELECT pg_notify($1, 'last')", Parameters { $0.append(channel) })
            var count = 0
            for try await notification in listener {
                if notification.payload == "last" { listener.stop() } else { count += 1 }
            }
            await sender.close()
            return count
        }
    }

    /// Runs with and without a statement that is queued until COMMIT.
    @Test(arguments: [true, false]) func aCommitIsTold(isQueued: Bool) async throws {
        let count = try await heard { sender, channel in
            for number in 1...3 {
                try await sender.withTransaction { transaction in
                    let insert = Statement("INSERT INTO kept VALUES ($1)")
                    let parameters = Parameters { $0.append(Int32(number)) }
                    if isQueued {
                        try await transaction.enqueue(insert, parameters)
                    } else {
                        try await transaction.execute(insert, parameters)
                    }
                    try await transaction.notify(channel)
                    try await transaction.notify(channel)
                }
            }
            #expect(try await sender.execute("SELECT count(*) FROM kept").int64(0, 0) == 3)
        }
        #expect(count == 3, "one for each transaction")
    }

    @Test func aRollbackIsNotTold() async throws {
        let count = try await heard { sender, channel in
            await #expect(throws: Refused.self) {
                try await sender.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO kept VALUES (1)")
                    try await transaction.notify(channel)
                    throw Refused()
                }
            }
            // The queued statement fails together with COMMIT.
            let error = await #expect(throws: PostgresError.self) {
                try await sender.withTransaction { transaction in
                    try await transaction.execute("INSERT INTO kept VALUES (1)")
                    try await transaction.enqueue("INSERT INTO kept VALUES (1)")
                    try await transaction.notify(channel)
                }
            }
            #expect(error?.sqlState == .uniqueViolation)
            let rows = try await sender.execute("SELECT count(*) FROM kept").int64(0, 0)
            #expect(rows == 0)
        }
        #expect(count == 0)
    }

    /// If the server refuses the NOTIFY, the transaction is still committed and the session stays usable.
    @Test func aRefusedNotificationChangesNothing() async throws {
        let count = try await heard { sender, channel in
            try await sender.withTransaction { transaction in
                try await transaction.enqueue("INSERT INTO kept VALUES (1)")
                try await transaction.notify("")
            }
            try await sender.withTransaction { transaction in
                try await transaction.enqueue("INSERT INTO kept VALUES (2)")
                try await transaction.notify(channel)
            }
            #expect(try await sender.execute("SELECT count(*) FROM kept").int64(0, 0) == 2)
        }
        #expect(count == 1)
    }

    /// A transaction without statements commits nothing and sends no notification.
    @Test func anEmptyTransactionIsNotTold() async throws {
        let count = try await heard { sender, channel in
            try await sender.withTransaction { try await $0.notify(channel) }
        }
        #expect(count == 0)
    }

    /// Commits with notifications do not wait for each other, because such a transaction holds no lock.
    @Test func aCommitWaitsForNoOtherNotification() async throws {
        try await TestDatabase.withSchema { configuration in
            let first = try await PostgresConnection.connect(configuration)
            let second = try await PostgresConnection.connect(configuration)
            try await first.execute(script: "CREATE TABLE kept (n int)")
            let channel = configuration.schema
            try await first.withTransaction { outer in
                try await outer.execute("INSERT INTO kept VALUES (1)")
                try await outer.notify(channel)
                try await second.withTransaction { inner in
                    try await inner.execute("INSERT INTO kept VALUES (2)")
                    try await inner.notify(channel)
                }
                #expect(try await outer.execute("SELECT count(*) FROM kept").int64(0, 0) == 2)
            }
            await first.close()
            await second.close()
        }
    }
}
