internal import Kafka
internal import StreamCore

/// What tells one record of a partition from any other at the same offset: the last record that a transaction passed is
/// stored with the partition's next offset, so that a topic which was deleted and made again is not taken for the one
/// before. Kafka's own topic ids would say it too, but librdkafka 2.0 does not hand them on.
struct RecordMark: Sendable, Equatable {
    let offset: Int64
    /// Of key, value and timestamp.
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

        /// Bytes with their count before them; NULL differs from empty.
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
