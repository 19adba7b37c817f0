/// The order in which the rows of a page are produced: partition by partition, each partition's in their own order.
///
/// librdkafka sends what a partition has gathered within `linger.ms`. Rows in the order of their ids come to each of
/// twenty partitions one at a time, and it would send thousands of batches of four records a second, each with a
/// request of its own; rows in runs make batches of what a page has for the partition. Order is per
/// key, and a key's rows stay as they are, since they are of one partition.
///
/// Only a guess of where a row goes: a wrong one costs time and nothing else.
struct ProduceOrder {
    /// A page that is not full is produced in its order, because no rows wait behind it.
    private static let minimumRows = 128

    /// - Parameters:
    ///   - partitions: how many the topics have, as far as is known.
    /// - Returns: the places of the page's rows; nil when they are produced as they come.
    static func places(of page: Page, partitions: Int) -> [Int]? {
        guard partitions > 1, page.ids.count >= minimumRows else { return nil }
        var runs = [[Int]](repeating: [], count: partitions)
        let capacity = page.ids.count / partitions * 2
        for index in runs.indices { runs[index].reserveCapacity(capacity) }
        for (row, hash) in page.keyHashes.enumerated() {
            runs[Int(hash & 0x7FFF_FFFF) % partitions].append(row)
        }
        return runs.flatMap(\.self)
    }
}

/// The hash by which Kafka's clients choose a key's partition (Apache Kafka, `Utils.murmur2`; librdkafka,
/// `rd_murmur2`): MurmurHash2 of 32 bits with a seed of Kafka's own.
enum Murmur2 {
    static func hash(_ bytes: Span<UInt8>) -> UInt32 {
        let multiplier: UInt32 = 0x5bd1_e995
        var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
        var index = 0
        while index + 4 <= bytes.count {
            var word =
                UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
                | UInt32(bytes[index + 3]) << 24
            word = word &* multiplier
            word ^= word >> 24
            hash = (hash &* multiplier) ^ (word &* multiplier)
            index += 4
        }
        let rest = bytes.count - index
        if rest > 0 {
            if rest > 2 { hash ^= UInt32(bytes[index + 2]) << 16 }
            if rest > 1 { hash ^= UInt32(bytes[index + 1]) << 8 }
            hash = (hash ^ UInt32(bytes[index])) &* multiplier
        }
        hash ^= hash >> 13
        hash = hash &* multiplier
        return hash ^ hash >> 15
    }
}
