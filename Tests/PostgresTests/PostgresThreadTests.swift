import Glibc
import Postgres
import TestKit
import Testing

@Suite struct PostgresThreadTests {
    /// An actor that runs on the thread of its connection uses the connection without changing threads.
    @Test func anActorMayShareItsConnectionsThread() async throws {
        try await withTable { _, configuration in
            let sharer = ThreadSharer()
            let threads = try await sharer.threads(configuration)
            #expect(threads.count == 1)
        }
    }
}

private actor ThreadSharer {
    private let thread = PostgresThread()

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.unownedExecutor }

    /// The threads on which a transaction on a connection of this actor's thread runs.
    func threads(_ configuration: PostgresConfiguration) async throws -> Set<pthread_t> {
        let connection = try await PostgresConnection.connect(configuration, on: thread)
        var threads = [pthread_self()]
        try await connection.withTransaction { transaction in
            threads.append(pthread_self())
            try await transaction.execute("INSERT INTO t VALUES (1)")
            threads.append(pthread_self())
            threads.append(await connection.currentThread())
        }
        await connection.close()
        return Set(threads)
    }
}

extension PostgresConnection {
    fileprivate func currentThread() -> pthread_t { pthread_self() }
}
