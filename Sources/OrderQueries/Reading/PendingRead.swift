internal import Postgres

/// One or more statements that are run in one round trip.
typealias Statements = [(Statement, Parameters)]

/// Those rows of a result that one read asked for; others have others.
struct ReadRows: Sendable {
    let result: QueryResult
    let range: Range<Int>

    var count: Int { range.count }
}

/// A read, and who waits for it.
enum PendingRead: Sendable {
    typealias Waiter<Answer> = CheckedContinuation<Result<Answer, ReadError>, Never>

    case statements(Statements, Waiter<[QueryResult]>)
    /// Of all that ask by the same statement at the same time, one is made: see ``ReadPool/rows(of:by:)``.
    case rows(key: String, statement: Statement, Waiter<ReadRows>)

    /// What it takes as a quick read, in reads of one row. A page has more rows, but shares no statement: four at a
    /// time cost little less than many, and another connection joins in the sooner.
    var cost: Int {
        switch self {
        case .statements: 4
        case .rows: 1
        }
    }

    func fail(_ error: ReadError) {
        switch self {
        case .statements(_, let waiter): waiter.resume(returning: .failure(error))
        case .rows(_, _, let waiter): waiter.resume(returning: .failure(error))
        }
    }
}

/// The reads that share a round trip: what is sent, and whose is which part of what comes back.
struct ReadBatch {
    private struct Group {
        let statement: Statement
        var keys = TextArray()
        var readers: [(key: String, waiter: PendingRead.Waiter<ReadRows>)] = []

        /// The rows of each reader.
        func ranges(in result: QueryResult) throws(PostgresError) -> [Range<Int>] {
            if readers.count == 1 { return [0..<result.rowCount] }
            var byKey: [String: Range<Int>] = [:]
            for row in 0..<result.rowCount {
                let key = try result.string(row, 0)
                byKey[key] = (byKey[key]?.lowerBound ?? row)..<(row + 1)
            }
            return readers.map { byKey[$0.key] ?? 0..<0 }
        }
    }

    private var groups: [Group] = []
    private var others: [(statements: Statements, waiter: PendingRead.Waiter<[QueryResult]>)] = []

    init(_ reads: some Sequence<PendingRead>) {
        for read in reads {
            switch read {
            case .statements(let statements, let waiter): others.append((statements, waiter))
            case .rows(let key, let statement, let waiter):
                let index = groups.firstIndex { $0.statement == statement } ?? groups.endIndex
                if index == groups.endIndex { groups.append(Group(statement: statement)) }
                groups[index].keys.append(key)
                groups[index].readers.append((key, waiter))
            }
        }
    }

    /// What is sent.
    var statements: Statements {
        groups.map { group in (group.statement, Parameters { $0.append(group.keys) }) } + others.flatMap(\.statements)
    }

    /// Hands out what came back.
    ///
    /// - Throws: ``PostgresError`` when a statement does not answer keys, before anybody was told anything.
    func answer(with results: [QueryResult]) throws(PostgresError) {
        var ranges: [[Range<Int>]] = []
        for (group, result) in zip(groups, results) { ranges.append(try group.ranges(in: result)) }
        for (index, group) in groups.enumerated() {
            for (reader, range) in zip(group.readers, ranges[index]) {
                reader.waiter.resume(returning: .success(ReadRows(result: results[index], range: range)))
            }
        }
        var rest = results[groups.count...]
        for (statements, waiter) in others {
            waiter.resume(returning: .success(Array(rest.prefix(statements.count))))
            rest = rest.dropFirst(statements.count)
        }
    }
}
