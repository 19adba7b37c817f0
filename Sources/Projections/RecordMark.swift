internal import Kafka

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

    /// FNV-1a of 64 bits (draft-eastlake-fnv). Stored, so it may never change. Nobody gains by a collision.
    private struct Digest {
        private var state: UInt64 = 0xcbf2_9ce4_8422_2325
        var value: Int64 { Int64(bitPattern: state) }

        /// Bytes with their count before them; NULL differs from empty.
        mutating func add(_ bytes: Span<UInt8>?) {
            guard let bytes else { return add(-1) }
            add(Int64(bytes.count))
            for index in bytes.indices { add(byte: bytes[index]) }
        }

        mutating func add(_ number: Int64) {
            for shift in stride(from: 0, to: 64, by: 8) { add(byte: UInt8(truncatingIfNeeded: number >> shift)) }
        }

        private mutating func add(byte: UInt8) {
            state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
    }
}
