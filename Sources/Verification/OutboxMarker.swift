internal import Outbox
internal import Postgres

/// The outbox rows that were not published at the time of the write model's snapshot, and which of them are still not
/// published. The relay removes a row after Kafka has acknowledged it, so a row that is gone counts as published. The
/// comparison with the topics checks that it really is in Kafka.
struct OutboxMarker: Sendable {
    private let outbox: OutboxTable
    /// The ids of the rows that wait for the relay, ascending. A row takes 8 bytes.
    private(set) var waiting: [Int64] = []
    /// The ids of the rows that were set aside. Only an operator can have them published.
    private(set) var setAside: Set<Int64> = []

    private static let chunk = 10_000

    private init(_ outbox: OutboxTable) {
        self.outbox = outbox
    }

    static func take(_ outbox: OutboxTable, in transaction: PostgresTransaction) async throws -> OutboxMarker {
        var marker = OutboxMarker(outbox)
        try await transaction.execute(
            script: """
                DECLARE verify_marker NO SCROLL CURSOR FOR
                SELECT \(outbox.position) FROM \(outbox.name) WHERE \(outbox.isWaiting) ORDER BY 1
                """)
        while true {
            let rows = try await transaction.execute(.unprepared("FETCH \(chunk) FROM verify_marker"))
            for row in 0..<rows.rowCount { marker.waiting.append(try rows.int64(row, 0)) }
            if rows.rowCount < chunk { break }
        }
        let failed = try await transaction.execute(.unprepared("SELECT id FROM \(outbox.failedName)"))
        for row in 0..<failed.rowCount { marker.setAside.insert(try failed.int64(row, 0)) }
        return marker
    }

    /// The ids of the rows that are not in Kafka.
    var unpublished: Set<Int64> { setAside.union(waiting) }

    /// Removes rows that have been published or set aside since. Stops at the first chunk with a row that still waits.
    ///
    /// - Parameters:
    ///   - connection: a connection to the write model.
    ///   - all: whether to check all rows.
    mutating func refresh(_ connection: PostgresConnection, all: Bool) async throws {
        var kept: [Int64] = []
        var place = 0
        while place < waiting.count, all || kept.isEmpty {
            let part = waiting[place..<min(place + Self.chunk, waiting.count)]
            var ids = Int64Array()
            for id in part { ids.append(id) }
            // One statement reads both tables, because the relay moves a row from one to the other in one transaction.
            let rows = try await connection.execute(still, Parameters { $0.append(ids) })
            for row in 0..<rows.rowCount {
                let id = try rows.int64(row, 0)
                if try rows.bool(row, 1) { setAside.insert(id) } else { kept.append(id) }
            }
            place += part.count
        }
        waiting = kept + waiting[place...]
    }

    private var still: Statement {
        Statement(
            """
            SELECT \(outbox.position), false FROM \(outbox.name)
            WHERE \(outbox.isWaiting) AND \(outbox.position) = ANY ($1)
            UNION ALL SELECT id, true FROM \(outbox.failedName) WHERE id = ANY ($1)
            ORDER BY 1
            """)
    }
}
