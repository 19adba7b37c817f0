import Kafka
import Postgres
import Projections
import StreamCore

/// An event for tests: `id|key|sequence|amount|microseconds` in UTF-8, optionally followed by `|` and padding.
struct LedgerEvent: Sendable, Equatable {
    var id = EventID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    var key: String
    var sequence: Int64
    var amount: Int64 = 1
    var timestamp = Timestamp(microseconds: 1_763_700_000_000_000)
    var padding = ""

    var wire: [UInt8] {
        let text = "\(id)|\(key)|\(sequence)|\(amount)|\(timestamp.microseconds)"
        return Array((padding.isEmpty ? text : "\(text)|\(padding)").utf8)
    }

    init(key: String, sequence: Int64, amount: Int64 = 1) {
        self.key = key
        self.sequence = sequence
        self.amount = amount
    }

    init?(_ text: String) {
        let fields = text.split(separator: "|", omittingEmptySubsequences: false)
        guard (5...6).contains(fields.count), let id = EventID(String(fields[0])), let sequence = Int64(fields[2]),
            let amount = Int64(fields[3]), let microseconds = Int64(fields[4])
        else { return nil }
        self.id = id
        key = String(fields[1])
        self.sequence = sequence
        self.amount = amount
        timestamp = Timestamp(microseconds: microseconds)
        if fields.count == 6 { padding = String(fields[5]) }
    }
}

/// A read model that shows delivery errors. For each key it stores the sum of the amounts, which shows a lost or
/// repeated event. It also stores the last sequence, and how often a sequence did not follow the previous one, which
/// shows a wrong order.
///
/// A negative amount breaks a constraint of its table.
struct LedgerProjection: Projection {
    typealias Hook = @Sendable ([LedgerEvent], PostgresTransaction) async throws -> Void

    let name: String
    let version = 1
    let topics: [String]
    var remembersEvents = true
    var onlyQueues = false
    var isReproducible = false
    /// The events of this key cannot be decoded from this sequence on.
    var undecodable: (key: String, sequence: Int64)?
    /// Decides for each event whether it cannot be decoded.
    var isUndecodable: @Sendable (LedgerEvent) -> Bool = { _ in false }
    /// Called with the headers of each record that is decoded.
    var sawHeaders: @Sendable ([RecordHeader]) -> Void = { _ in }
    var eventType: @Sendable (LedgerEvent) -> String = { _ in "Entered" }
    /// Called in the transaction before the ledger is written.
    var beforeApply: Hook = { _, _ in }

    static let schema = """
        CREATE TABLE ledger (
            key text PRIMARY KEY, sum bigint NOT NULL, count bigint NOT NULL, last_sequence bigint NOT NULL,
            disorders bigint NOT NULL, least bigint NOT NULL CHECK (least >= 0)
        );
        """

    func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<LedgerEvent> {
        guard let value = record.value else { return .skipped(.tombstone) }
        if value.isEmpty { return .skipped(SkipReason("empty")) }
        guard let text = String(validating: value) else { return .skipped(SkipReason("invalid_utf8")) }
        guard let event = LedgerEvent(text) else { return .skipped(SkipReason("other")) }
        sawHeaders(record.headers)
        if let undecodable, undecodable.key == event.key, undecodable.sequence == event.sequence {
            throw EventFailure("undecodable", "the test says so", eventID: event.id)
        }
        if isUndecodable(event) { throw EventFailure("undecodable", "the test says so", eventID: event.id) }
        return .event(
            EventIdentity(
                eventID: event.id, eventType: eventType(event), aggregateID: event.key, sequence: event.sequence,
                timestamp: event.timestamp),
            event)
    }

    private struct Fold {
        var sum: Int64 = 0
        var count: Int64 = 0
        var first: Int64
        var last: Int64
        var disorders: Int64 = 0
        var least: Int64 = .max
    }

    func apply(_ events: [LedgerEvent], in transaction: PostgresTransaction) async throws {
        try await beforeApply(events, transaction)
        var folds: [String: Fold] = [:]
        for event in events {
            var fold = folds[event.key] ?? Fold(first: event.sequence, last: event.sequence - 1)
            if event.sequence != fold.last + 1 { fold.disorders += 1 }
            fold.last = event.sequence
            fold.sum += event.amount
            fold.count += 1
            fold.least = min(fold.least, event.amount)
            folds[event.key] = fold
        }
        var keys = TextArray()
        var columns = [Int64Array](repeating: Int64Array(), count: 6)
        for (key, fold) in folds.sorted(by: { $0.key < $1.key }) {
            keys.append(key)
            for (index, value) in [fold.sum, fold.count, fold.first, fold.last, fold.disorders, fold.least].enumerated()
            {
                columns[index].append(value)
            }
        }
        try await transaction.enqueue(
            Self.upsert,
            Parameters {
                $0.append(keys)
                for column in columns { $0.append(column) }
            })
    }

    private static let upsert = Statement(
        """
        INSERT INTO ledger AS l (key, sum, count, last_sequence, disorders, least)
        SELECT key, sum, count, last, disorders + (first <> 1)::int, least
        FROM unnest($1, $2, $3, $4, $5, $6, $7) AS f (key, sum, count, first, last, disorders, least)
        ON CONFLICT (key) DO UPDATE SET
            sum = l.sum + excluded.sum, count = l.count + excluded.count, last_sequence = excluded.last_sequence,
            disorders = l.disorders + (SELECT f.disorders + (f.first <> l.last_sequence + 1)::int
                FROM unnest($1, $4, $6) AS f (key, first, disorders) WHERE f.key = l.key),
            least = least(l.least, excluded.least)
        """)
}

extension String {
    /// nil if the bytes are not valid UTF-8.
    fileprivate init?(validating bytes: Span<UInt8>) {
        guard let utf8 = try? UTF8Span(validating: bytes) else { return nil }
        self.init(copying: utf8)
    }
}
