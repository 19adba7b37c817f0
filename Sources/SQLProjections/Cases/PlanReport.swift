internal import Foundation
internal import Postgres
internal import SQLText
internal import StreamCore

/// Reports the plan of each statement on filled tables, and the tables for which it finds no usable index.
struct PlanReport {
    struct Plan: Sendable {
        let place: SQLPlace
        /// The lines of EXPLAIN.
        let lines: [String]
        /// The tables of the projection that the plan reads completely.
        let scanned: [String]
    }

    private struct TakenBack: Error {}

    let version: VersionSchema
    let connection: PostgresConnection

    /// Fills the tables with copies of the cases' events, each copy for other aggregates, and reads the plans. Then it
    /// rolls back all changes.
    ///
    /// - Parameter copies: the number of copies of each case.
    func plans(of cases: [ProjectionCase], copies: Int) async throws -> [Plan] {
        let projection = version.projection
        var plans: [Plan] = []
        do {
            try await connection.withTransaction { transaction in
                var last: [SQLEvent] = []
                for copy in 0..<copies {
                    last = cases.flatMap { sample in sample.events.map { Self.copy($0, copy) } }
                    guard !last.isEmpty else { break }
                    try await projection.apply(last, in: transaction)
                    try await transaction.flush()
                }
                let session = VersionSession(schema: projection.folder.schemaName, role: nil)
                _ = try await transaction.pipeline([session.enter])
                // Sequential scans are disabled. If a plan still reads a table completely, no index of any kind fits
                // the statement.
                try await analyze(transaction)
                try await transaction.execute(script: "SET LOCAL enable_seqscan = off")
                for handler in projection.folder.handlers {
                    let own = last.filter { handler.type == nil || $0.type == handler.type }
                    guard let first = own.first else { continue }
                    for statement in handler.statements {
                        let parameters =
                            projection.folder.mode == .batch
                            ? SQLEvent.arrays(of: own) : first.values(of: statement.columns, position: 1)
                        plans.append(try await plan(statement, parameters, transaction))
                    }
                }
                throw TakenBack()
            }
        } catch is TakenBack {}
        return plans
    }

    /// Analyzes only the version's tables, because the locks are held until the end of the transaction.
    private func analyze(_ transaction: PostgresTransaction) async throws {
        let found = try await transaction.execute(
            .unprepared(
                """
                SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
                WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p')
                """),
            Parameters { $0.append(SQLIdentifier.quoted(version.projection.folder.schemaName)) })
        guard let tables = try found.optionalString(0, 0) else { return }
        try await transaction.execute(script: "ANALYZE \(tables)")
    }

    private func plan(
        _ statement: SQLStatement, _ parameters: Parameters, _ transaction: PostgresTransaction
    ) async throws -> Plan {
        let found = try await transaction.execute(
            .unprepared("EXPLAIN (COSTS OFF) " + statement.statement.sql), parameters)
        let lines = try (0..<found.rowCount).map { try found.string($0, 0) }
        let scanned = lines.compactMap { line -> String? in
            guard let range = line.firstRange(of: "Seq Scan on ") else { return nil }
            return line[range.upperBound...].split(separator: " ").first.map(String.init)
        }
        return Plan(place: statement.place, lines: lines, scanned: scanned)
    }

    /// A copy of the event for another aggregate.
    private static func copy(_ event: SQLEvent, _ number: Int) -> SQLEvent {
        guard number > 0 else { return event }
        var copy = event
        copy.aggregateID += "-\(number)"
        copy.eventID = EventID(high: event.eventID.high ^ UInt64(number) << 16, low: event.eventID.low)
        if let payload = event.payload {
            // Ids in the payload are replaced too.
            let text = String(decoding: payload, as: UTF8.self)
            copy.payload = Array(
                text.replacing("\"\(event.aggregateID)\"", with: "\"\(copy.aggregateID)\"").utf8)
        }
        return copy
    }
}
