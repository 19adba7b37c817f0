public import Events
public import Postgres

/// Writes the state of aggregates into a table: one row for each aggregate, with its id and its version.
///
/// It makes the statements from a list of columns. Each statement writes any number of aggregates, and its values are
/// one array for each column. `StateTableTests` shows the SQL.
public struct StateWriter<D: Decider>: Sendable {
    private let inserted: [StateColumn<D.State>]
    private let updated: [StateColumn<D.State>]
    private let insertion: Statement
    private let update: Statement

    /// - Parameters:
    ///   - name: the table, which has a column `version`.
    ///   - key: the column with the aggregate's id.
    ///   - noun: an aggregate in errors, for example `an order`.
    ///   - columns: the other columns.
    public init(_ name: String, key: String, noun: String, columns: [StateColumn<D.State>]) {
        inserted = columns
        updated = columns.filter { !$0.isConstant }
        let new = [key, "version"] + inserted.flatMap(\.names)
        insertion = Statement(
            """
            INSERT INTO \(name) (\(Self.list(new)))
            SELECT * FROM unnest(\(Self.placeholders(new.count)))
            """)
        let changed = ["version"] + updated.flatMap(\.names)
        let given = [key, "expected"] + changed
        update = Statement(
            """
            WITH changed AS (
                UPDATE \(name) AS t
                SET \(Self.list(changed.map { "\($0) = u.\($0)" }))
                FROM unnest(\(Self.placeholders(given.count)))
                    AS u(\(Self.list(given)))
                WHERE t.\(key) = u.\(key) AND t.version = u.expected
                RETURNING 1
            )
            SELECT commands_expect((SELECT count(*) FROM changed), $\(given.count + 1), '\(noun)')
            """)
    }

    static func list(_ elements: [String]) -> String { elements.joined(separator: ", ") }

    private static func placeholders(_ count: Int) -> String { list((1...count).map { "$\($0)" }) }

    /// At most two statements: the insertion of new aggregates, and the update of the others. The update fails if one
    /// of them does not have the version that was loaded.
    public func writes(_ changes: [Change<D>]) -> [(Statement, Parameters)] {
        let created = changes.filter { $0.before == nil }
        let changed = changes.filter { $0.before != nil }
        var writes: [(Statement, Parameters)] = []
        if !created.isEmpty { writes.append((insertion, parameters(created, inserted, checksVersion: false))) }
        if !changed.isEmpty {
            var parameters = parameters(changed, updated, checksVersion: true)
            parameters.append(Int64(changed.count))
            writes.append((update, parameters))
        }
        return writes
    }

    private func parameters(
        _ changes: [Change<D>], _ columns: [StateColumn<D.State>], checksVersion: Bool
    ) -> Parameters {
        var ids = TextArray(), expected = Int64Array(), versions = Int64Array()
        for change in changes {
            ids.append(change.id)
            expected.append(change.before?.version)
            versions.append(change.after.version)
        }
        var parameters = Parameters()
        parameters.append(ids)
        if checksVersion { parameters.append(expected) }
        parameters.append(versions)
        let states = changes.map(\.after.state)
        for column in columns { column.append?(states, &parameters) }
        return parameters
    }
}
