import Postgres
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Leadership

@Suite struct LeaderElectionTests {
    /// One of several processes that try to become the leader.
    private final class Candidate: Sendable {
        /// What has happened to the candidate so far.
        private final class Notes: Sendable {
            struct State {
                var terms = 0
                var isLeading = false
                var standings: [Bool] = []
                var failures: [String] = []
                var session: Int32?
            }

            let state = Mutex(State())
        }

        let stop = StopSignal()
        private let election: LeaderElection
        private let notes: Notes

        init(
            _ key: AdvisoryLockKey, _ postgres: PostgresConfiguration,
            _ mode: LeadershipMode = .standby(interval: .milliseconds(20))
        ) {
            let notes = Notes()
            self.notes = notes
            election = LeaderElection(
                key, postgres: postgres, mode: mode, stop: stop, isPermanent: { $0 is Hopeless },
                onChange: { change in
                    notes.state.withLock { state in
                        switch change {
                        case .standingBy(let isFirst): state.standings.append(isFirst)
                        case .lockTaken: state.terms += 1
                        case .failed(let error): state.failures.append("\(error)")
                        }
                    }
                })
        }

        var terms: Int { notes.state.withLock { $0.terms } }
        var isLeading: Bool { notes.state.withLock { $0.isLeading } }
        var standings: [Bool] { notes.state.withLock { $0.standings } }
        var failures: [String] { notes.state.withLock { $0.failures } }
        var session: Int32? { notes.state.withLock { $0.session } }

        /// Leads until it is told to stop or its session is lost.
        func run() async throws {
            try await election.run { lock in
                let session = await lock.connection.serverProcessID
                notes.state.withLock { ($0.isLeading, $0.session) = (true, session) }
                defer { notes.state.withLock { $0.isLeading = false } }
                while !stop.isSet {
                    try await lock.verify()
                    await stop.wait(atMost: .milliseconds(10))
                }
            }
        }

        func fail(_ error: any Error) async throws {
            try await election.run { _ in throw error }
        }
    }

    private struct Hopeless: Error {}

    private func withCandidates(
        _ count: Int, _ body: ([Candidate], PostgresConfiguration) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema { postgres in
            let key = AdvisoryLockKey("leader of \(postgres.schema)")
            let candidates = (0..<count).map { _ in Candidate(key, postgres) }
            try await withThrowingTaskGroup { group in
                for candidate in candidates { group.addTask { try await candidate.run() } }
                defer { candidates.forEach { $0.stop.set() } }
                try await body(candidates, postgres)
                candidates.forEach { $0.stop.set() }
                try await group.waitForAll()
            }
        }
    }

    @Test func oneLeadsAndTheOthersStandBy() async throws {
        try await withCandidates(3) { candidates, _ in
            try await eventually {
                candidates.count(where: \.isLeading) == 1
                    && candidates.count(where: { $0.standings.count >= 3 }) == 2
            }
            #expect(candidates.map(\.terms).reduce(0, +) == 1)
            for standby in candidates where !standby.isLeading {
                #expect(standby.standings.first == true && !standby.standings.dropFirst().contains(true))
            }
        }
    }

    @Test func aStandbyTakesOverFromALeaderThatStops() async throws {
        try await withCandidates(2) { candidates, _ in
            try await eventually { candidates.contains(where: \.isLeading) }
            let first = try #require(candidates.first { $0.isLeading })
            let second = try #require(candidates.first { $0 !== first })
            first.stop.set()
            try await eventually { second.isLeading && !first.isLeading }
            #expect(first.failures.isEmpty && second.failures.isEmpty)
        }
    }

    @Test func aLeaderThatLosesItsSessionStandsForElectionAgain() async throws {
        try await withCandidates(2) { candidates, postgres in
            try await eventually { candidates.contains(where: \.isLeading) }
            let first = try #require(candidates.first { $0.isLeading })
            let administrator = try await PostgresConnection.connect(postgres)
            var parameters = Parameters()
            let session: Int32 = try #require(first.session)
            parameters.append(session)
            try await administrator.execute("SELECT pg_terminate_backend($1)", parameters)
            await administrator.close()
            try await eventually { first.failures.count == 1 }
            // One of the two other candidates becomes the next leader. The last one stands by.
            try await eventually {
                candidates.count(where: \.isLeading) == 1 && candidates.map(\.terms).reduce(0, +) == 2
            }
        }
    }

    @Test func theLockIsFreeAtOnceWhenALeaderHasEnded() async throws {
        try await TestDatabase.withSchema { postgres in
            let key = AdvisoryLockKey("handed over in \(postgres.schema)")
            for _ in 0..<5 {
                let leader = Candidate(key, postgres, .ifFree)
                async let end: Void = leader.run()
                try await eventually { leader.isLeading }
                leader.stop.set()
                try await end
                #expect(leader.terms == 1)
            }
        }
    }

    @Test func whoeverOnlyTriesEndsWhenTheLockIsTaken() async throws {
        try await withCandidates(1) { candidates, postgres in
            try await eventually { candidates[0].isLeading }
            let other = Candidate(AdvisoryLockKey("leader of \(postgres.schema)"), postgres, .ifFree)
            try await other.run()
            #expect(other.terms == 0)
        }
    }

    @Test func whoeverWaitsForTheLockGetsItFromTheLeader() async throws {
        try await withCandidates(1) { candidates, postgres in
            try await eventually { candidates[0].isLeading }
            let key = AdvisoryLockKey("leader of \(postgres.schema)")
            let next = Candidate(key, postgres, .whenHandedOver)
            let last = Candidate(key, postgres, .whenHandedOver)
            try await withThrowingTaskGroup { group in
                defer { [next, last].forEach { $0.stop.set() } }
                group.addTask { try await next.run() }
                let observer = try await PostgresConnection.connect(postgres)
                func waiting() async throws -> Int64 {
                    var parameters = Parameters()
                    parameters.append(key.number)
                    return try await observer.execute(
                        """
                        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                            AND (classid::bigint << 32) | objid::bigint = $1
                        """, parameters
                    ).int64(0, 0)
                }
                try await eventually { try await waiting() == 1 }
                group.addTask { try await last.run() }
                try await eventually { try await waiting() == 2 }
                // A candidate that is told to stop leaves the queue without becoming the leader.
                last.stop.set()
                try await eventually { try await waiting() == 1 }
                candidates[0].stop.set()
                try await eventually { next.isLeading }
                next.stop.set()
                try await group.waitForAll()
                await observer.close()
                #expect(next.terms == 1 && last.terms == 0)
            }
        }
    }

    @Test func aFailureIsThrownUnlessTryingAgainMayHelp() async throws {
        try await TestDatabase.withSchema { postgres in
            let key = AdvisoryLockKey("hopeless in \(postgres.schema)")
            await #expect(throws: Hopeless.self) { try await Candidate(key, postgres).fail(Hopeless()) }
            await #expect(throws: LockSession.LockGone.self) {
                try await Candidate(key, postgres, .ifFree).fail(LockSession.LockGone())
            }
        }
    }

    @Test func aServerThatIsAwayIsWaitedForAndEndsNothing() async throws {
        let nowhere = PostgresConfiguration(host: "127.0.0.1", port: 1, user: "nobody", database: "nothing")
        let candidate = Candidate(AdvisoryLockKey("nowhere"), nowhere)
        try await withDeadline(endingBy: { candidate.stop.set() }) {
            async let end: Void = candidate.run()
            try await eventually { candidate.failures.count >= 3 }
            candidate.stop.set()
            try await end
        }
        #expect(candidate.terms == 0)
    }

    @Test func aLockThatIsGoneAndAServerThatTakesNoWritesEndTheLeadership() async throws {
        try await TestDatabase.withSchema { postgres in
            let key = AdvisoryLockKey("verified in \(postgres.schema)")
            let connection = try await LockSession.connect(postgres)
            let session = try #require(try await LockSession.tryLock(key, on: connection))
            try await session.verify()
            try await connection.execute(script: "SET default_transaction_read_only = on")
            await #expect(throws: LockSession.ReadOnly.self) { try await session.verify() }
            try await connection.advisoryUnlock(key)
            await #expect(throws: LockSession.LockGone.self) { try await session.verify() }
            await LockSession.end(connection)
        }
    }
}
