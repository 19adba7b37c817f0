public import Postgres

/// Folds the write model into what `order_summary` must be, and compares the two row by row.
///
/// Both are read in pages, so that any number of orders is checked in little memory. They may be in different
/// databases. While something writes, a difference can be one that the projection has not reached yet: stop the load
/// first, or say how long to wait.
public struct ReadModelCheck: Sendable {
    /// One thing that is not as it should be.
    public struct Difference: Hashable, Sendable {
        public enum Kind: Hashable, Sendable {
            /// The write model has the order, the read model has not.
            case missing
            /// The read model has a row, the write model has no such order.
            case extra
            /// A column says something else; nil is NULL.
            case column(String, expected: String?, actual: String?)
        }

        public let orderID: String
        public let kind: Kind

        public init(orderID: String, kind: Kind) {
            self.orderID = orderID
            self.kind = kind
        }
    }

    /// What was found.
    public struct Outcome: Hashable, Sendable {
        /// Orders of the write model.
        public internal(set) var checked = 0
        public internal(set) var missing = 0
        public internal(set) var extra = 0
        /// Rows with at least one column that differs.
        public internal(set) var differing = 0
        /// The first differences.
        public internal(set) var examples: [Difference] = []

        /// Whether the read model is what the write model says.
        public var isEqual: Bool { missing == 0 && extra == 0 && differing == 0 }
    }

    private let writeModel: PostgresConfiguration
    private let readModel: PostgresConfiguration
    private let pageSize: Int
    private let exampleLimit: Int

    /// How long to leave the projection alone before a page that differs is looked at again.
    private static let patience: Duration = .milliseconds(100)

    /// - Parameters:
    ///   - writeModel: where `orders`, `order_items`, `payments` and `shipments` are.
    ///   - readModel: where `order_summary` is.
    ///   - pageSize: how many orders are compared at once.
    ///   - exampleLimit: how many differences are kept; all are counted.
    public init(
        writeModel: PostgresConfiguration, readModel: PostgresConfiguration, pageSize: Int = 1_000,
        exampleLimit: Int = 10
    ) {
        self.writeModel = writeModel
        self.readModel = readModel
        self.pageSize = pageSize
        self.exampleLimit = exampleLimit
    }

    /// Compares.
    ///
    /// - Parameter wait: how long, in all, to look again at rows that differ, for the projection to catch up.
    /// - Throws: `PostgresError`.
    public func run(waitingUpTo wait: Duration = .zero) async throws -> Outcome {
        let writing = try await PostgresConnection.connect(writeModel)
        let reading: PostgresConnection
        do {
            reading = try await PostgresConnection.connect(readModel)
        } catch {
            await writing.close()
            throw error
        }
        let result: Result<Outcome, any Error>
        do {
            result = .success(try await compare(writing, reading, until: .now + wait))
        } catch {
            result = .failure(error)
        }
        await writing.close()
        await reading.close()
        return try result.get()
    }

    private func compare(
        _ writing: PostgresConnection, _ reading: PostgresConnection, until deadline: ContinuousClock.Instant
    ) async throws -> Outcome {
        var outcome = Outcome()
        try await forEachPage(ReadModelColumns.nextOrders, writing) { ids in
            let page = try await Self.settled(until: deadline) { try await comparePage(ids, writing, reading) }
            outcome.add(page, exampleLimit: exampleLimit)
        }
        try await forEachPage(ReadModelColumns.nextRows, reading) { ids in
            outcome.add(try await extraRows(ids, writing), exampleLimit: exampleLimit)
        }
        return outcome
    }

    /// Looks again until nothing differs or the time is over.
    private static func settled(
        until deadline: ContinuousClock.Instant, _ look: () async throws -> Outcome
    ) async throws -> Outcome {
        var page = try await look()
        while !page.isEqual, .now < deadline {
            try await Task.sleep(for: patience)
            page = try await look()
        }
        return page
    }

    private func forEachPage(
        _ statement: Statement, _ connection: PostgresConnection, _ body: ([String]) async throws -> Void
    ) async throws {
        var last = ""
        while true {
            var parameters = Parameters()
            parameters.append(last)
            parameters.append(Int64(pageSize))
            let rows = try await connection.execute(statement, parameters)
            if rows.rowCount == 0 { return }
            var ids: [String] = []
            for row in 0..<rows.rowCount { ids.append(try rows.string(row, 0)) }
            last = ids[ids.count - 1]
            try await body(ids)
            if ids.count < pageSize { return }
        }
    }

    private func comparePage(
        _ ids: [String], _ writing: PostgresConnection, _ reading: PostgresConnection
    ) async throws -> Outcome {
        let columns = ReadModelColumns.all
        // The read model first: what it has then, the write model has as well.
        let actual = try await reading.execute(columns.readModel, Self.parameters(ids))
        let expected = try await writing.execute(columns.writeModel, Self.parameters(ids))
        var rowByID: [String: Int] = [:]
        for row in 0..<actual.rowCount { rowByID[try actual.string(row, 0)] = row }
        var outcome = Outcome()
        for row in 0..<expected.rowCount {
            outcome.checked += 1
            let id = try expected.string(row, 0)
            guard let actualRow = rowByID[id] else {
                outcome.missing += 1
                outcome.note(Difference(orderID: id, kind: .missing), limit: exampleLimit)
                continue
            }
            var differs = false
            for (index, name) in columns.names.enumerated() {
                let column = index + 1
                guard try !Self.isSame(expected, row, actual, actualRow, column) else { continue }
                differs = true
                let kind = Difference.Kind.column(
                    name, expected: try expected.optionalString(row, column),
                    actual: try actual.optionalString(actualRow, column))
                outcome.note(Difference(orderID: id, kind: kind), limit: exampleLimit)
            }
            if differs { outcome.differing += 1 }
        }
        return outcome
    }

    private static func isSame(
        _ expected: QueryResult, _ row: Int, _ actual: QueryResult, _ actualRow: Int, _ column: Int
    ) throws -> Bool {
        if expected.isNull(row, column) || actual.isNull(actualRow, column) {
            return expected.isNull(row, column) && actual.isNull(actualRow, column)
        }
        let (left, right) = (try expected.textBytes(row, column), try actual.textBytes(actualRow, column))
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }

    private func extraRows(_ ids: [String], _ writing: PostgresConnection) async throws -> Outcome {
        let rows = try await writing.execute(ReadModelColumns.knownOrders, Self.parameters(ids))
        var unknown = Set(ids)
        for row in 0..<rows.rowCount { unknown.remove(try rows.string(row, 0)) }
        var outcome = Outcome()
        outcome.extra = unknown.count
        for id in unknown.sorted() { outcome.note(Difference(orderID: id, kind: .extra), limit: exampleLimit) }
        return outcome
    }

    private static func parameters(_ ids: [String]) -> Parameters {
        var column = TextArray()
        for id in ids { column.append(id) }
        var parameters = Parameters()
        parameters.append(column)
        return parameters
    }
}

extension ReadModelCheck.Outcome {
    fileprivate mutating func note(_ difference: ReadModelCheck.Difference, limit: Int) {
        if examples.count < limit { examples.append(difference) }
    }

    fileprivate mutating func add(_ page: Self, exampleLimit: Int) {
        checked += page.checked
        missing += page.missing
        extra += page.extra
        differing += page.differing
        for example in page.examples { note(example, limit: exampleLimit) }
    }
}
