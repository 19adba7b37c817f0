import EmbeddedPostgres
import Postgres
import StreamCore
import TestKit
import Testing

@testable import Projections

@Suite struct UnknownOutcomeTests {
    @Test(arguments: [false, true]) func aCommitWithoutAnAnswerIsLookedUp(onlyQueues: Bool) async throws {
        try await Ledger.withPrivateServer(tcp: .freePort) { ledger, server in
            let proxy = try CuttingProxy(target: server.port)
            defer { proxy.close() }
            var throughProxy = ledger.postgres
            throughProxy.host = "127.0.0.1"
            throughProxy.port = proxy.port
            let log = RecordedLog()
            try await ledger.produce(count: 200, keys: 10)
            let projection = ledger.projection { $0.onlyQueues = onlyQueues }
            try await running(ledger.runner(projection, postgres: throughProxy, log: log)) {
                try await ledger.caughtUp()
                let cuts: [CuttingProxy.Cut] = [.beforeCommit, .afterCommit, .afterCommit, .beforeCommit]
                for cut in cuts {
                    let count = log.lines("outcome of a transaction is known").count
                    proxy.cut(cut)
                    try await eventually {
                        try await ledger.produce(count: 20, keys: 10)
                        return log.lines("outcome of a transaction is known").count > count
                    }
                    // The first COMMITs of a new connection do not belong to a batch. They must pass before the next
                    // cut.
                    try await ledger.produce(count: 20, keys: 10)
                    try await ledger.caughtUp()
                }
            }
            try await ledger.expectExact()
            let settled = log.lines("outcome of a transaction is known").map { $0.metadata["outcome"] }
            #expect(settled == ["notCommitted", "committed", "committed", "notCommitted"])
            #expect(log.lines("another process moved the offsets").isEmpty)
        }
    }

    /// A reproducible projection may lose transactions with the server (``TakenBackTests`` shows one that does).
    @Test(arguments: [(false, false), (true, false), (true, true)])
    func aServerThatCrashesUnderLoadLosesNothing(onlyQueues: Bool, isReproducible: Bool) async throws {
        try await Ledger.withPrivateServer { ledger, server in
            let observer = Observer()
            try await ledger.produce(count: 200, keys: 10)
            let projection = ledger.projection {
                $0.onlyQueues = onlyQueues
                $0.isReproducible = isReproducible
            }
            try await running(ledger.runner(projection, observer: observer)) {
                try await ledger.caughtUp()
                for _ in 0..<3 {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { for _ in 0..<10 { try await ledger.produce(count: 40, keys: 10) } }
                        group.addTask { try await server.restart(.immediate) }
                        try await group.waitForAll()
                    }
                }
                try await ledger.caughtUp()
            }
            try await ledger.expectExact()
            #expect(observer.now.stopped == [])
        }
    }
}
