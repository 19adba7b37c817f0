internal import Postgres
internal import StreamCore

/// One or more statements that are run in one round trip.
typealias Statements = [(Statement, Parameters)]

/// Those rows of a result that one read asked for; others have others.
struct ReadRows: Sendable {
    let result: QueryResult
    let range: Range<Int>

    var count: Int { range.count }
}

/// What a reader asks of a statement that answers several readers at once.
struct ReadKey: Hashable, Sendable {
    let text: String
    /// The place that a page begins behind; nil for all, and for a first page.
    var behind: Place?

    /// An order's place among others by time.
    struct Place: Hashable, Sendable {
        let time: Timestamp
        let orderID: String
    }
}

/// A read, and who waits for it.
enum PendingRead: Sendable {
    typealias Waiter<Answer> = CheckedContinuation<Result<Answer, ReadError>, Never>

    case statements(Statements, Waiter<[QueryResult]>)
    /// Of all that ask by the same statement at the same time, one is made: see ``ReadPool/rows(of:by:cost:)``.
    case rows(ReadKey, statement: Statement, Waiter<ReadRows>)

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
        /// Each once: whoever asks for the same is answered with the same rows.
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

        /// The rows of each key.
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

    /// What is sent.
    var statements: Statements {
        groups.map { ($0.statement, $0.parameters) } + others.flatMap(\.statements)
    }

    /// Hands out what came back.
    ///
    /// - Throws: ``PostgresError`` when a statement does not answer keys, before anybody was told anything.
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
