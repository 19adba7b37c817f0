internal import Postgres
internal import Projections
internal import StreamCore
internal import WireJSON

/// Applies events to a version's tables, reads them, and rolls back all changes.
struct CaseRunner {
    private struct TakenBack: Error {}

    let folder: ProjectionFolder
    private let projection: SQLProjection
    private let connection: PostgresConnection
    private let session: VersionSession
    private let dump: Statement

    /// - Parameters:
    ///   - version: must be prepared.
    ///   - connection: the connection to use.
    ///   - ignored: columns, as `table.column`, that may differ.
    init(_ version: VersionSchema, on connection: PostgresConnection, ignoring ignored: [String]) async throws {
        projection = version.projection
        folder = projection.folder
        self.connection = connection
        session = VersionSession(schema: folder.schemaName, role: nil)
        dump = try await Self.dump(of: folder.schemaName, ignoring: ignored, on: connection)
    }

    /// A statement that returns all rows of all tables, sorted, each as one text.
    private static func dump(
        of schema: String, ignoring ignored: [String], on connection: PostgresConnection
    ) async throws -> Statement {
        let (query, parameters) = ComparedTables.query(schema, ignoring: ignored)
        let tables = try ComparedTables.read(try await connection.execute(query, parameters))
        var parts = tables.map { table in
            """
            SELECT \(Self.literal(table.name)) || ' ' || \(table.line) \
            FROM \(SQLIdentifier.quoted(schema)).\(SQLIdentifier.quoted(table.name))
            """
        }
        if parts.isEmpty { parts = ["SELECT '' WHERE false"] }
        return .unprepared(parts.joined(separator: " UNION ALL ") + " ORDER BY 1")
    }

    private static func literal(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    /// The result of a schedule.
    enum Outcome: Equatable {
        /// All rows of all tables.
        case rows([String])
        /// PostgreSQL or the runtime refused an event.
        case refused(String)
    }

    /// Applies the events by a schedule.
    func outcome(of schedule: Schedule, _ events: [SQLEvent]) async throws -> Outcome {
        try await afterApplying(schedule, events) { transaction in
            let rows = try await transaction.execute(dump)
            return .rows(try (0..<rows.rowCount).map { try rows.string($0, 0) })
        }
    }

    /// Applies each event twice, one by one, like a runtime that does not remember events.
    func outcomeOfDoubling(_ events: [SQLEvent]) async throws -> Outcome {
        let schedule = Schedule(batches: events.indices.flatMap { [.init(events: [$0]), .init(events: [$0])] })
        return try await outcome(of: schedule, events)
    }

    /// Applies a case's events one by one and compares the results of its queries.
    ///
    /// - Returns: a line for each difference; empty if there is none.
    func differences(of sample: ProjectionCase) async throws -> [String] {
        var lines: [String] = []
        let outcome = try await afterApplying(.oneByOne(sample.events.count), sample.events) { transaction in
            _ = try await transaction.pipeline([session.enter])
            for expectation in sample.expectations {
                let found = try await transaction.execute(.unprepared(Self.asText(expectation.query)))
                let rows = try (0..<found.rowCount).map { try Self.columns(of: found.string($0, 0)) }
                lines += Self.differences(expectation, rows)
            }
            return .rows([])
        }
        if case .refused(let message) = outcome { lines.append("  the events cannot be applied: \(message)") }
        return lines
    }

    /// Wraps a query so that it returns each row as a JSON array of texts, in PostgreSQL's JSON notation.
    private static func asText(_ query: String) -> String {
        """
        SELECT (SELECT coalesce(json_agg(value), '[]') FROM json_each_text(row_to_json(q)))::text FROM (\(query)) AS q
        """
    }

    private static func columns(of json: String) throws -> [String] {
        var reader = try JSONReader(json.utf8Span.span)
        try reader.enterArray()
        var columns: [String] = []
        while try reader.nextElement() {
            columns.append(try reader.readNull() ? ProjectionCase.null : try reader.readString())
        }
        return columns
    }

    private static func differences(_ expectation: ProjectionCase.Expectation, _ rows: [[String]]) -> [String] {
        guard rows != expectation.rows else { return [] }
        func show(_ row: [String]) -> String { row.joined(separator: " | ") }
        let removed = expectation.rows.filter { !rows.contains($0) }.map { "  - " + show($0) }
        let added = rows.filter { !expectation.rows.contains($0) }.map { "  + " + show($0) }
        let order = removed.isEmpty && added.isEmpty ? ["  the rows differ in order or number"] : []
        return ["  \(expectation.query)"] + removed + added + order
    }

    private func afterApplying(
        _ schedule: Schedule, _ events: [SQLEvent], _ look: (PostgresTransaction) async throws -> Outcome
    ) async throws -> Outcome {
        var outcome = Outcome.refused("")
        do {
            try await connection.withTransaction { transaction in
                for batch in schedule.batches {
                    let events = try batch.events.map { events[$0] }.filter { try folder.takes($0) }
                    if batch.isRolledBackOnce {
                        do {
                            try await transaction.withSavepoint {
                                try await projection.apply(events, in: transaction)
                                try await transaction.flush()
                                throw TakenBack()
                            }
                        } catch is TakenBack {}
                    }
                    try await projection.apply(events, in: transaction)
                    try await transaction.flush()
                }
                outcome = try await look(transaction)
                throw TakenBack()
            }
        } catch is TakenBack {
        } catch let error as PostgresError where error.kind != .transient {
            return .refused(error.message)
        } catch let error as EventFailure {
            return .refused(error.description)
        }
        return outcome
    }
}
