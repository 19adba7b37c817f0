import Foundation
import Kafka
import Postgres
import Projections
import StreamCore
import Synchronization

/// The cause that makes events undecodable until it is removed.
final class PoisonCause: Sendable {
    let isRemoved = Atomic(false)
}

/// `id|key|sequence|poison` in UTF-8, padded to the size of an order's event.
struct PoisonEvent: Sendable {
    var id: EventID
    var key: String
    var sequence: Int64
    var isPoison: Bool

    var wire: [UInt8] {
        Array("\(id)|\(key)|\(sequence)|\(isPoison)|".utf8) + [UInt8](repeating: UInt8(ascii: "."), count: 500)
    }

    init(id: EventID = .random(), key: String, sequence: Int64, isPoison: Bool) {
        self.id = id
        self.key = key
        self.sequence = sequence
        self.isPoison = isPoison
    }

    init?(_ text: String) {
        let fields = text.split(separator: "|")
        guard fields.count == 5, let id = EventID(String(fields[0])), let sequence = Int64(fields[2]) else {
            return nil
        }
        (self.id, self.sequence) = (id, sequence)
        (key, isPoison) = (String(fields[1]), fields[3] == "true")
    }
}

/// Records each event that takes effect, in order.
struct PoisonableProjection: Projection {
    let name: String
    let version = 1
    let topics: [String]
    private let insert: Statement
    /// The cause that makes events undecodable; nil if the database refuses them instead.
    private let refuses: PoisonCause?
    private let time = Timestamp.now

    init(name: String, topic: String, table: String, refuses: PoisonCause?) {
        self.name = name
        topics = [topic]
        self.refuses = refuses
        insert = Statement(
            """
            INSERT INTO \(table) (key, sequence, is_poison)
            SELECT key, sequence, is_poison FROM unnest($1::text[], $2::bigint[], $3::int[])
                WITH ORDINALITY AS applied (key, sequence, poison, place), LATERAL (SELECT poison = 1 AS is_poison) AS p
            ORDER BY place
            """)
    }

    func decode(_ record: borrowing RecordView) throws(EventFailure) -> DecodedRecord<PoisonEvent> {
        guard let value = record.value else { return .skipped(.tombstone) }
        guard let text = try? UTF8Span(validating: value), let event = PoisonEvent(String(copying: text)) else {
            throw EventFailure("unreadable", "no event of the bench")
        }
        if event.isPoison, let refuses, !refuses.isRemoved.load(ordering: .relaxed) {
            throw EventFailure("poison", "the bench says so", eventID: event.id)
        }
        let identity = EventIdentity(
            eventID: event.id, eventType: "Poisoned", aggregateID: event.key, sequence: event.sequence, timestamp: time)
        return .event(identity, event)
    }

    func apply(_ events: [PoisonEvent], in transaction: PostgresTransaction) async throws {
        var (keys, sequences, poison) = (TextArray(), Int64Array(), Int32Array())
        for event in events {
            keys.append(event.key)
            sequences.append(event.sequence)
            poison.append(event.isPoison ? 1 : 0)
        }
        try await transaction.execute(
            insert,
            Parameters {
                $0.append(keys); $0.append(sequences); $0.append(poison)
            })
    }
}
