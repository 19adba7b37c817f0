public import Postgres
public import StreamCore

/// The stored processes, for operators.
public struct ProcessRegistry: Sendable {
    /// Selects processes.
    public struct Filter: Sendable, Hashable {
        /// The stage; nil for all unfinished processes.
        public var process: String?
        /// The stage; nil for all that are not finished.
        public var stage: String?
        /// The ids; nil for all.
        public var ids: [String]?

        public init(process: String? = nil, stage: String? = nil, ids: [String]? = nil) {
            self.process = process
            self.stage = stage
            self.ids = ids
        }
    }

    /// A stored process.
    public struct Row: Sendable, Hashable {
        public let process: String
        public let id: String
        public let stage: String
        public let isFinished: Bool
        public let dueAt: Timestamp?
        /// The number of failed attempts to handle its deadline.
        public let failedCount: Int32
        public let stepCount: Int64
        public let startedAt: Timestamp
        public let updatedAt: Timestamp
        /// The state as JSON.
        public let state: String
    }

    /// A row of a process's history.
    public struct Step: Sendable, Hashable {
        public let number: Int64
        public let at: Timestamp
        public let step: String
        public let outcome: String
        public let stage: String
    }

    private let connection: PostgresConnection

    public init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    /// The selected processes, beginning with those that have not changed for the longest time.
    public func list(_ filter: Filter, limit: Int) async throws -> [Row] {
        var parameters = Self.parameters(filter)
        parameters.append(Int64(limit))
        let rows = try await connection.execute(Self.selection, parameters)
        return try (0..<rows.rowCount).map { try Self.row(rows, $0) }
    }

    /// A process in any stage; nil if it does not exist.
    public func find(_ process: String, _ id: String) async throws -> Row? {
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(id)
        let rows = try await connection.execute(Self.selectionOfOne, parameters)
        return rows.rowCount == 0 ? nil : try Self.row(rows, 0)
    }

    private static func row(_ rows: QueryResult, _ row: Int) throws -> Row {
        Row(
            process: try rows.string(row, 0), id: try rows.string(row, 1), stage: try rows.string(row, 2),
            isFinished: try rows.bool(row, 3), dueAt: try rows.optionalTimestamp(row, 4),
            failedCount: try rows.int32(row, 5), stepCount: try rows.int64(row, 6),
            startedAt: try rows.timestamp(row, 7), updatedAt: try rows.timestamp(row, 8),
            state: try rows.string(row, 9))
    }

    /// The history of a process, in order.
    public func history(of process: String, _ id: String) async throws -> [Step] {
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(id)
        let rows = try await connection.execute(Self.steps, parameters)
        return try (0..<rows.rowCount).map { row in
            Step(
                number: try rows.int64(row, 0), at: try rows.timestamp(row, 1), step: try rows.string(row, 2),
                outcome: try rows.string(row, 3), stage: try rows.string(row, 4))
        }
    }

    /// Resumes processes: their deadline becomes now, and the daemon handles it. The history records who resumed them,
    /// and why.
    ///
    /// Finished processes are not changed. A process that an event changes at the same time is resumed as well.
    ///
    /// - Returns: the ids, sorted.
    public func resume(_ filter: Filter, by audit: Audit, at now: Timestamp = .now) async throws -> [String] {
        var parameters = Self.parameters(filter)
        parameters.append(now)
        parameters.append("\(audit.actor): \(audit.reason)")
        let rows = try await connection.execute(Self.resumption, parameters)
        return try (0..<rows.rowCount).map { try rows.string($0, 0) }.sorted()
    }

    private static func parameters(_ filter: Filter) -> Parameters {
        var ids: TextArray?
        if let given = filter.ids {
            var array = TextArray()
            for id in given { array.append(id) }
            ids = array
        }
        var parameters = Parameters()
        parameters.append(filter.process)
        parameters.append(filter.stage)
        parameters.append(ids != nil)
        parameters.append(ids ?? TextArray())
        return parameters
    }

    private static let condition = """
        ($1::text IS NULL OR process = $1)
            AND CASE WHEN $2::text IS NULL THEN NOT is_finished ELSE stage = $2 END
            AND (NOT $3 OR process_id = ANY($4))
        """

    private static let columns = """
        process, process_id, stage, is_finished, due_at, failed_count, step_count, started_at, updated_at, state::text
        """

    private static let selectionOfOne = Statement(
        "SELECT \(columns) FROM processes WHERE process = $1 AND process_id = $2")

    private static let selection = Statement(
        """
        SELECT \(columns) FROM processes WHERE \(condition) ORDER BY updated_at, process, process_id LIMIT $5
        """)

    private static let steps: Statement = """
        SELECT number, at, step, outcome, stage FROM process_steps
        WHERE process = $1 AND process_id = $2 ORDER BY number
        """

    private static let resumption = Statement(
        """
        WITH chosen AS (
            SELECT process, process_id FROM processes WHERE \(condition) AND NOT is_finished
            ORDER BY process, process_id FOR UPDATE
        ), resumed AS (
            UPDATE processes AS p SET due_at = $5, failed_count = 0, step_count = step_count + 1, updated_at = $5
            FROM chosen AS c WHERE p.process = c.process AND p.process_id = c.process_id
            RETURNING p.process, p.process_id, p.step_count, p.stage
        )
        INSERT INTO process_steps (process, process_id, number, at, step, outcome, stage)
        SELECT process, process_id, step_count, $5, 'resume', $6, stage FROM resumed
        RETURNING process_id
        """)
}
