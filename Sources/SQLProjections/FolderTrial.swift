internal import Foundation
public import Postgres
internal import SQLQueries
public import SQLText

/// Tests a projection's folder on a database: its cases, its convergence, and the plans of its statements. It drops all
/// objects that it creates.
public struct FolderTrial: Sendable {
    /// One result, for operators.
    public struct Finding: Sendable {
        /// The subject of the test: a case's name, or a statement's position.
        public let subject: String
        /// Whether the test succeeded.
        public let isGood: Bool
        /// The details.
        public let lines: [String]
    }

    public let folder: ProjectionFolder
    private let cases: [ProjectionCase]
    private let connection: PostgresConnection

    /// - Parameter connection: a connection to a database in which schemas may be created. It must not contain this
    ///   version.
    /// - Throws: ``InvalidFolder`` if a case cannot be read.
    public init(_ folder: ProjectionFolder, on connection: PostgresConnection) throws(InvalidFolder) {
        self.folder = folder
        self.connection = connection
        cases = try ProjectionCase.all(of: folder)
    }

    /// Tests whether the cases' queries have the expected results.
    public func test() async throws -> [Finding] {
        try await prepared { version in
            let runner = try await runner(version)
            var findings: [Finding] = []
            for sample in cases {
                let lines = try await runner.differences(of: sample)
                findings.append(Finding(subject: sample.name, isGood: lines.isEmpty, lines: lines))
            }
            return findings + (try await queries())
        }
    }

    /// Tests whether PostgreSQL accepts the folder's queries, if there are any.
    private func queries() async throws -> [Finding] {
        let path = folder.path + "/queries"
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        do {
            let live = try await LiveSchemas.load(connection)
            let prepared = try await QueryFolders([path]).prepared(in: live, role: nil, on: connection)
            if !prepared.missing.isEmpty { throw InvalidFolder(prepared.missing) }
            return prepared.queries.keys.sorted().map { Finding(subject: "queries/\($0).sql", isGood: true, lines: []) }
        } catch let error as InvalidFolder {
            return [Finding(subject: "queries", isGood: false, lines: error.problems.map { "  \($0)" })]
        }
    }

    /// Tests whether each case's events have the same result in other orders and batches.
    ///
    /// - Parameters:
    ///   - count: the number of schedules to try for each case.
    ///   - seed: the seed of the schedules. The same seed tries the same schedules.
    public func check(count: Int, seed: UInt64) async throws -> [Finding] {
        try await prepared { version in
            let runner = try await runner(version)
            let check = ConvergenceCheck(runner: runner, count: count, seed: seed)
            var findings: [Finding] = []
            for sample in cases {
                if let found = try await check.counterexample(of: sample.events) {
                    let lines = CounterexampleText(found, sample.events).lines
                    findings.append(Finding(subject: sample.name, isGood: false, lines: lines))
                } else {
                    let once = try await runner.outcome(of: .oneByOne(sample.events.count), sample.events)
                    let isIdempotent = try await runner.outcomeOfDoubling(sample.events) == once
                    let note =
                        "an event applied twice would count twice; sql-projection prevents this"
                    findings.append(
                        Finding(subject: sample.name, isGood: true, lines: isIdempotent ? [] : ["  note: " + note]))
                }
            }
            return findings
        }
    }

    /// Reports the plan of each statement on filled tables.
    ///
    /// - Parameter copies: the number of times that the cases' events are applied, each time for other aggregates.
    public func explain(copies: Int) async throws -> [Finding] {
        try await prepared { version in
            let plans = try await PlanReport(version: version, connection: connection).plans(of: cases, copies: copies)
            return plans.map { plan in
                let warnings = plan.scanned.map { "  reads all of \($0): it has no index for this" }
                return Finding(
                    subject: plan.place.description, isGood: plan.scanned.isEmpty,
                    lines: plan.lines.map { "  " + $0 } + warnings)
            }
        }
    }

    private func runner(_ version: VersionSchema) async throws -> CaseRunner {
        try await CaseRunner(version, on: connection, ignoring: folder.uncheckedColumns)
    }

    /// Creates the version without a role, and drops it afterwards.
    private func prepared<Result>(_ body: (VersionSchema) async throws -> Result) async throws -> Result {
        let version = VersionSchema(folder, isIsolated: false)
        let result: Swift.Result<Result, any Error>
        do {
            try await version.prepare(connection)
            result = .success(try await body(version))
        } catch {
            result = .failure(error)
        }
        try await version.drop(connection)
        return try result.get()
    }
}

/// The text of a counterexample, for operators.
private struct CounterexampleText {
    let lines: [String]

    init(_ example: ConvergenceCheck.Counterexample, _ events: [SQLEvent]) {
        var lines = ["  these events, applied as follows, lead to other rows than one by one:"]
        for (number, batch) in example.schedule.batches.enumerated() {
            let suffix = batch.isRolledBackOnce ? " (rolled back once, then applied again)" : ""
            lines.append("    batch \(number + 1)\(suffix):")
            for index in batch.events {
                let event = events[index]
                // Its offset is its index in the case's file. A record that the mapping skips has no event.
                lines.append(
                    "      events[\(event.offset)] \(event.type) \(event.aggregateID) sequence \(event.sequence)")
            }
        }
        switch (example.expected, example.found) {
        case (.rows(let expected), .rows(let found)):
            lines += expected.filter { !found.contains($0) }.map { "  - " + $0 }
            lines += found.filter { !expected.contains($0) }.map { "  + " + $0 }
        case (.refused(let message), _): lines.append("  one by one they are refused: \(message)")
        case (_, .refused(let message)): lines.append("  they are refused: \(message)")
        }
        self.lines = lines
    }
}
