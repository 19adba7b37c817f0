internal import Commands
internal import Events
internal import Postgres
internal import StreamCore
internal import WireJSON

/// The tables of the migration set `processes`, for one kind of process.
struct ProcessTable: Sendable {
    let process: String

    // MARK: reading

    /// Reads and locks processes in the order of their ids, until the transaction ends.
    func load<State: ProcessState>(
        _ ids: [String], in transaction: PostgresTransaction
    ) async throws -> [StoredProcess<State>] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(keys)
        return try Self.stored(try await transaction.execute(Self.lock, parameters))
    }

    private static let lock: Statement = """
        SELECT process_id, tenant_id, correlation_id, started_at, state_format, state, step_count
        FROM processes WHERE process = $1 AND process_id = ANY($2) ORDER BY process_id FOR UPDATE
        """

    /// Reads and locks the process with the oldest deadline that has passed. It skips processes that another session
    /// has locked.
    func loadDue<State: ProcessState>(
        at now: Timestamp, in transaction: PostgresTransaction
    ) async throws -> (id: String, read: () throws -> StoredProcess<State>)? {
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(now)
        let rows = try await transaction.execute(Self.lockDue, parameters)
        if rows.rowCount == 0 { return nil }
        return (try rows.string(0, 0), { try Self.stored(rows, 0) })
    }

    private static let lockDue: Statement = """
        SELECT process_id, tenant_id, correlation_id, started_at, state_format, state, step_count
        FROM processes WHERE process = $1 AND due_at <= $2 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """

    private static func stored<State: ProcessState>(_ rows: QueryResult) throws -> [StoredProcess<State>] {
        try (0..<rows.rowCount).map { try stored(rows, $0) }
    }

    private static func stored<State: ProcessState>(_ rows: QueryResult, _ row: Int) throws -> StoredProcess<State> {
        let json = try rows.textBytes(row, 5)
        let state: State
        do {
            var fields = try FieldReader(json)
            state = try State(reading: &fields, format: try rows.int32(row, 4))
        } catch let problem as DecodeProblem {
            throw StoredStateError("the state of a process: \(problem.located(in: json))")
        }
        return StoredProcess(
            id: try rows.string(row, 0), tenantID: try rows.optionalString(row, 1),
            correlationID: try rows.optionalString(row, 2), startedAt: try rows.timestamp(row, 3), state: state,
            stepCount: try rows.int64(row, 6))
    }

    // MARK: writing

    /// The statements that write the result of a transaction.
    func writes<Policy: ProcessPolicy>(_ work: ProcessWork<Policy>, at now: Timestamp) -> [(Statement, Parameters)] {
        var writes: [(Statement, Parameters)] = []
        for (statement, processes) in [
            (Self.insert, work.changes(new: true)), (Self.update, work.changes(new: false)),
        ] where !processes.isEmpty {
            writes.append((statement, parameters(processes, now)))
        }
        if !work.history.isEmpty { writes.append((Self.insertSteps, parameters(work.history, now))) }
        return writes
    }

    private func parameters(_ processes: [StoredProcess<some ProcessState>], _ now: Timestamp) -> Parameters {
        var ids = TextArray(), tenants = TextArray(), correlations = TextArray(), stages = TextArray()
        var finished = BoolArray(), due = TimestampArray(), formats = Int32Array(), states = JSONArray()
        var counts = Int64Array(), starts = TimestampArray()
        for process in processes {
            ids.append(process.id)
            tenants.append(process.tenantID)
            correlations.append(process.correlationID)
            stages.append(process.state.stage)
            finished.append(process.state.isFinished)
            due.append(process.state.due)
            formats.append(type(of: process.state).format)
            var json = JSONWriter()
            process.state.write(to: &json)
            states.append(json: json.span)
            counts.append(process.stepCount)
            starts.append(process.startedAt)
        }
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(now)
        parameters.append(ids)
        parameters.append(tenants)
        parameters.append(correlations)
        parameters.append(stages)
        parameters.append(finished)
        parameters.append(due)
        parameters.append(formats)
        parameters.append(states)
        parameters.append(counts)
        parameters.append(starts)
        return parameters
    }

    private static let insert: Statement = """
        INSERT INTO processes (process, updated_at, process_id, tenant_id, correlation_id, stage, is_finished, due_at,
            state_format, state, step_count, started_at)
        SELECT $1, $2, u.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS u
        """

    private static let update: Statement = """
        UPDATE processes AS p SET
            stage = u.stage, is_finished = u.is_finished, due_at = u.due_at, state_format = u.state_format,
            state = u.state, step_count = u.step_count, failed_count = 0, updated_at = $2
        FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS u(process_id, tenant_id, correlation_id, stage,
            is_finished, due_at, state_format, state, step_count, started_at)
        WHERE p.process = $1 AND p.process_id = u.process_id
        """

    private func parameters(_ history: [ProcessHistoryEntry], _ now: Timestamp) -> Parameters {
        var ids = TextArray(), numbers = Int64Array(), steps = TextArray(), outcomes = TextArray()
        var stages = TextArray()
        for entry in history {
            ids.append(entry.processID)
            numbers.append(entry.number)
            steps.append(entry.step)
            outcomes.append(entry.outcome)
            stages.append(entry.stage)
        }
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(now)
        parameters.append(ids)
        parameters.append(numbers)
        parameters.append(steps)
        parameters.append(outcomes)
        parameters.append(stages)
        return parameters
    }

    private static let insertSteps: Statement = """
        INSERT INTO process_steps (process, at, process_id, number, step, outcome, stage)
        SELECT $1, $2, u.* FROM unnest($3, $4, $5, $6, $7) AS u
        """

    // MARK: deadlines that fail

    /// Postpones a deadline that failed, by 1, 2, 4 … seconds, at most 256. It changes nothing if the process has been
    /// handled since.
    func postpone(_ id: String, from now: Timestamp, on connection: PostgresConnection) async throws {
        var parameters = Parameters()
        parameters.append(process)
        parameters.append(now)
        parameters.append(id)
        try await connection.execute(Self.postponement, parameters)
    }

    private static let postponement: Statement = """
        UPDATE processes SET
            due_at = $2::timestamptz + make_interval(secs => 2 ^ least(failed_count, 8)),
            failed_count = failed_count + 1
        WHERE process = $1 AND process_id = $3 AND due_at <= $2
        """

    // MARK: numbers

    /// The number of open processes by stage, and the time since the oldest deadline, in seconds.
    func standing(
        at now: Timestamp, on connection: PostgresConnection
    ) async throws -> (stages: [String: Int64], delay: Double) {
        var parameters = Parameters()
        parameters.append(process)
        let counts = try await connection.execute(Self.countStages, parameters)
        var stages: [String: Int64] = [:]
        for row in 0..<counts.rowCount { stages[try counts.string(row, 0)] = try counts.int64(row, 1) }
        let first = try await connection.execute(Self.firstDeadline, parameters).optionalTimestamp(0, 0)
        let delay = first.map { max(0, now.microseconds - $0.microseconds) } ?? 0
        return (stages, Double(delay) / 1_000_000)
    }

    private static let countStages: Statement = """
        SELECT stage, count(*) FROM processes WHERE process = $1 AND NOT is_finished GROUP BY stage
        """
    private static let firstDeadline: Statement = """
        SELECT min(due_at) FROM processes WHERE process = $1 AND due_at IS NOT NULL
        """
}
