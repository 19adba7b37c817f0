import Kafka
import Postgres
import StreamCore
import Testing

@testable import Daemon

@Suite struct WorkSupervisionTests {
    private let missingTable = PostgresError(.server, "no such table", sqlState: .undefinedTable)
    private let wrongPassword = PostgresError(.cannotConnect, "password", sqlState: SQLState("28P01"))
    private struct Bug: Error {}

    private func isRetry(_ verdict: WorkSupervision.Verdict) -> Bool {
        if case .retry = verdict { true } else { false }
    }

    @Test func beforeTheStartHasSucceededEveryFailureEndsTheDaemon() {
        var supervision = WorkSupervision()
        #expect(supervision.failed(missingTable) == .end)
        #expect(supervision.failed(PostgresError(.connectionLost, "gone")) == .end)
    }

    @Test func whatAStopCutsShortHasNotFailed() {
        #expect(WorkSupervision.isStop(PostgresError(.cancelled, "cancelled while connecting")))
        #expect(WorkSupervision.isStop(CancellationError()))
        #expect(!WorkSupervision.isStop(PostgresError(.connectionLost, "gone")))
        #expect(!WorkSupervision.isStop(Bug()))
    }

    @Test func laterFaultsOfServersAreWaitedForLongerAndLonger() {
        var supervision = WorkSupervision(backoff: Backoff(initial: .seconds(1), ceiling: .seconds(8)))
        supervision.started()
        guard case .retry(let first) = supervision.failed(missingTable) else { return #expect(Bool(false)) }
        #expect(first <= .seconds(1))
        for _ in 0..<10 { #expect(isRetry(supervision.failed(wrongPassword))) }
        guard case .retry(let last) = supervision.failed(wrongPassword) else { return #expect(Bool(false)) }
        #expect(last >= .seconds(4))
        supervision.started()
        guard case .retry(let again) = supervision.failed(TransactionError.rolledBack(missingTable)) else {
            return #expect(Bool(false))
        }
        #expect(again <= .seconds(1))
    }

    @Test func aFaultOfOursEndsTheDaemonAtAnyTime() {
        var supervision = WorkSupervision()
        supervision.started()
        #expect(supervision.failed(Bug()) == .end)
    }
}
