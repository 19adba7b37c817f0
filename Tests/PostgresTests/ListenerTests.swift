import Postgres
import Synchronization
import TestKit
import Testing

@Suite struct ListenerTests {
    @Test func deliversWhatIsNotifiedUntilItIsStopped() async throws {
        try await TestDatabase.withSchema { configuration in
            let channel = configuration.schema + " \"quoted\""
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let sender = try await PostgresConnection.connect(configuration)
            let notify: Statement = "SELECT pg_notify($1, v::text) FROM generate_series(1, 3) AS v"
            try await sender.execute(notify, Parameters { $0.append(channel) })
            var payloads: [String] = []
            for try await notification in listener {
                #expect(notification.channel == channel)
                #expect(notification.serverProcessID == (await sender.serverProcessID))
                payloads.append(notification.payload)
                if payloads.count == 3 { listener.stop() }
            }
            #expect(payloads == ["1", "2", "3"])
            await sender.close()
        }
    }

    @Test func endsWhileItWaits() async throws {
        try await TestDatabase.withSchema { configuration in
            let listener = try await PostgresListener.connect(configuration, channels: ["nothing"])
            async let received = listener.reduce(into: 0) { count, _ in count += 1 }
            listener.stop()
            #expect(try await received == 0)
            let cancelled = try await PostgresListener.connect(configuration, channels: ["nothing"])
            let task = Task { try await cancelled.reduce(into: 0) { count, _ in count += 1 } }
            task.cancel()
            #expect(try await task.value == 0)
        }
    }

    @Test func aLostConnectionIsAnError() async throws {
        try await TestDatabase.withSchema { configuration in
            let channel = configuration.schema
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let killer = try await PostgresConnection.connect(configuration)
            try await killer.execute("SELECT pg_notify($1, '')", Parameters { $0.append(channel) })
            let task = Task {
                for try await notification in listener {
                    try await killer.execute(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE query LIKE 'LISTEN%' || $1 || '%'
                        """,
                        Parameters { $0.append(notification.channel) })
                }
            }
            let outcome = await task.result
            let error = #expect(throws: PostgresError.self) { try outcome.get() }
            #expect(error?.code == .connectionLost)
            await killer.close()
        }
    }

    @Test func passesOnWhatIsNotifiedUntilItIsStopped() async throws {
        try await TestDatabase.withSchema { configuration in
            let channel = configuration.schema
            let listener = try await PostgresListener.connect(configuration, channels: [channel])
            let sender = try await PostgresConnection.connect(configuration)
            let notify: Statement = "SELECT pg_notify($1, v::text) FROM generate_series(1, 3) AS v"
            try await sender.execute(notify, Parameters { $0.append(channel) })
            let payloads = Mutex<[String]>([])
            try await listener.run { notifications in
                let count = payloads.withLock { payloads in
                    payloads += notifications.map(\.payload)
                    return payloads.count
                }
                if count == 3 { listener.stop() }
            }
            #expect(payloads.withLock { $0 } == ["1", "2", "3"])
            let cancelled = try await PostgresListener.connect(configuration, channels: [channel])
            let task = Task { try await cancelled.run { _ in } }
            task.cancel()
            try await task.value
            let killed = try await PostgresListener.connect(configuration, channels: [channel])
            async let ended: Void = killed.run { _ in }
            try await sender.execute(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE query LIKE 'LISTEN%' || $1 || '%' AND pid <> pg_backend_pid()
                """,
                Parameters { $0.append(channel) })
            do {
                try await ended
                Issue.record("expected an error after the connection was lost")
            } catch let error as PostgresError {
                #expect(error.code == .connectionLost)
            }
            await sender.close()
        }
    }
}
