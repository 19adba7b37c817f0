public import Events
public import Postgres
public import StreamCore

/// A table with the state of aggregates: one row for each aggregate, with its id and its version. It reads and writes
/// the columns of one list.
public struct StateTable<D: Decider>: Sendable {
    private let writer: StateWriter<D>
    private let lastEventAt: @Sendable (D.State) -> Timestamp
    private let state: @Sendable (inout StateRow) throws -> D.State
    private let read: Statement
    private let lock: Statement

    /// - Parameters:
    ///   - name: the table, which has a column `version`. SQL expressions call it `t`.
    ///   - key: the column with the aggregate's id.
    ///   - noun: an aggregate in errors, for example `an order`.
    ///   - join: joins the tables of ``StateColumn/joined(_:)``, with exactly one row each. The columns that it reads
    ///     must not change, because the joined row may be older than the lock.
    ///   - columns: the other columns.
    ///   - lastEventAt: the time of an aggregate's last event.
    ///   - state: reads the state from the columns, in their order.
    public init(
        _ name: String, key: String, noun: String, join: String = "", columns: [StateColumn<D.State>],
        lastEventAt: @escaping @Sendable (D.State) -> Timestamp,
        state: @escaping @Sendable (inout StateRow) throws -> D.State
    ) {
        writer = StateWriter(name, key: key, noun: noun, columns: columns)
        self.lastEventAt = lastEventAt
        self.state = state
        let selected = ["t.\(key)", "t.version"] + columns.flatMap { $0.expressions ?? [] }
        let select = """
            SELECT \(StateWriter<D>.list(selected))
            FROM \(name) AS t\(join.isEmpty ? "" : " " + join)
            WHERE t.\(key) = ANY($1)
            """
        read = Statement(select)
        lock = Statement("\(select)\nORDER BY t.\(key) FOR UPDATE OF t")
    }

    /// A single statement is enough, because it returns the current row after it has waited for a lock.
    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        var keys = TextArray()
        for id in ids { keys.append(id) }
        return [(locking ? lock : read, Parameters { $0.append(keys) })]
    }

    /// The aggregates by id, from the result of ``reads(_:locking:)``.
    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<D.State>] {
        guard let rows = results.last else { return [:] }
        var found: [String: Loaded<D.State>] = [:]
        for number in 0..<rows.rowCount {
            var row = StateRow(rows, number, from: 2)
            let state = try state(&row)
            found[try rows.string(number, 0)] = Loaded(
                state, version: try rows.int64(number, 1), lastEventAt: lastEventAt(state))
        }
        return found
    }

    /// The statements of the table's ``StateWriter``.
    public func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)] { writer.writes(changes) }
}

/// A repository with a ``StateTable``. It may write further tables.
public protocol StateRepository<D>: Repository {
    static var table: StateTable<D> { get }
}

extension StateRepository {
    public func reads(_ ids: [String], locking: Bool) -> [(Statement, Parameters)] {
        Self.table.reads(ids, locking: locking)
    }

    public func loaded(_ results: ArraySlice<QueryResult>) throws -> [String: Loaded<D.State>] {
        try Self.table.loaded(results)
    }

    public func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)] { Self.table.writes(changes) }
}
