internal import Postgres
internal import StreamCore

/// One or more statements that are run in one round trip.
typealias Statements = [(Statement, Parameters)]

/// The rows of a result that belong to one read. Other rows belong to other reads.
struct ReadRows: Sendable {
    let result: QueryResult
    let range: Range<Int>

    var count: Int { range.count }
}

/// The request of one reader to a statement that serves several readers at once.
struct ReadKey: Hashable, Sendable {
    let text: String
    /// The position after which the page begins; nil for a first page, and for reads without pages.
    var behind: Place?

    /// The position of an order in a list by time.
    struct Place: Hashable, Sendable {
        let time: Timestamp
        let orderID: String
    }
}

/// A read, and the task that waits for it.
enum PendingRead: Sendable {
    typealias Waiter<Answer> = CheckedContinuation<Result<Answer, ReadError>, Never>

    case statements(Statements, Waiter<[QueryResult]>)
    /// All reads with the same statement at the same time are combined: see ``ReadPool/rows(of:by:cost:)``.
    case rows(ReadKey, statement: Statement, Waiter<ReadRows>)

    func fail(_ error: ReadError) {
        switch self {
        case .statements(_, let waiter): waiter.resume(returning: .failure(error))
        case .rows(_, _, let waiter): waiter.resume(returning: .failure(error))
        }
    }
}

/// The reads that share a round trip. It combines their statements, and gives each read its part of the results.
struct ReadBatch {
    private struct Group {
        let statement: Statement
        /// Each key occurs once. All readers of the same key receive the same rows.
        var keys: [ReadKey] = []
        var readers: [(place: Int, waiter: PendingRead.Waiter<ReadRows>)] = []

        mutating func add(_ key: ReadKey, _ waiter: PendingRead.Waiter<ReadRows>) {
            let place = keys.firstIndex(of: key) ?? keys.endIndex
            if place == keys.endIndex { keys.append(key) }
            readers.append((place, waiter))
        }

        /// The keys as arrays.
        var parameters: Parameters {
            var (texts, times, orderIDs) = (TextArray(), TimestampArray(), TextArray())
            for key in keys {
                texts.append(key.text)
                guard let behind = key.behind else { continue }
                times.append(behind.time)
                orderIDs.append(behind.orderID)
            }
            return Parameters { parameters in
                parameters.append(texts)
                if keys[0].behind == nil { return }
                parameters.append(times)
                parameters.append(orderIDs)
            }
        }

        /// The range of rows of each key.
        func ranges(in result: QueryResult) throws(PostgresError) -> [Range<Int>] {
            if keys.count == 1 { return [0..<result.rowCount] }
            var ranges = [Range<Int>](repeating: 0..<0, count: keys.count)
            for row in 0..<result.rowCount {
                let place = Int(try result.int64(row, result.columnCount - 1)) - 1
                guard ranges.indices.contains(place), ranges[place].isEmpty || ranges[place].upperBound == row else {
                    throw PostgresError(.decoding, "row \(row) is not beside the others of its key")
                }
                ranges[place] = (ranges[place].isEmpty ? row : ranges[place].lowerBound)..<(row + 1)
            }
            return ranges
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
                groups[index].add(key, waiter)
            }
        }
    }

    /// The statements to send.
    var statements: Statements {
        groups.map { ($0.statement, $0.parameters) } + others.flatMap(\.statements)
    }

    /// Gives each reader its results.
    ///
    /// - Throws: ``PostgresError`` if the result of a statement does not fit its keys. No reader has received an answer
    ///   then.
    func answer(with results: [QueryResult]) throws(PostgresError) {
        var ranges: [[Range<Int>]] = []
        for (group, result) in zip(groups, results) { ranges.append(try group.ranges(in: result)) }
        for (index, group) in groups.enumerated() {
            for reader in group.readers {
                let rows = ReadRows(result: results[index], range: ranges[index][reader.place])
                reader.waiter.resume(returning: .success(rows))
            }
        }
        var rest = results[groups.count...]
        for (statements, waiter) in others {
            waiter.resume(returning: .success(Array(rest.prefix(statements.count))))
            rest = rest.dropFirst(statements.count)
        }
    }
}
