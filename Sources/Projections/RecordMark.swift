internal import Kafka
internal import StreamCore

/// Distinguishes a record from any other record with the same offset. The mark of the last record that a transaction
/// passed is stored with the partition's next offset, so that a topic that was deleted and created again is not taken
/// for the old one. Kafka's topic ids would serve too, but librdkafka 2.0 does not expose them.
struct RecordMark: Sendable, Equatable {
    let offset: Int64
    /// A hash of the key, the value and the timestamp.
    let digest: Int64

    init(offset: Int64, digest: Int64) {
        self.offset = offset
        self.digest = digest
    }

    init(_ record: RecordView) {
        var digest = Digest()
        digest.add(record.timestampMs ?? -1)
        digest.add(record.key)
        digest.add(record.value)
        offset = record.offset
        self.digest = digest.value
    }

    /// FNV-1a. It is stored, so it must never change. A collision gives an attacker no advantage.
    private struct Digest {
        private var hash = FNV1a()
        var value: Int64 { Int64(bitPattern: hash.value) }

        /// Adds bytes, preceded by their number. A missing value differs from an empty one.
        mutating func add(_ bytes: Span<UInt8>?) {
            guard let bytes else { return add(-1) }
            add(Int64(bytes.count))
            for index in bytes.indices { hash.combine(bytes[index]) }
        }

        mutating func add(_ number: Int64) {
            for shift in stride(from: 0, to: 64, by: 8) { hash.combine(UInt8(truncatingIfNeeded: number >> shift)) }
        }
    }
}
