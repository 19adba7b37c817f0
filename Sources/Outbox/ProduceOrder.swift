/// Computes the order in which the rows of a page are produced: partition by partition, and by id within each
/// partition.
///
/// librdkafka sends the records that a partition has collected within `linger.ms`. If the rows were produced in the
/// order of their ids, each of twenty partitions would receive one row at a time, and librdkafka would send thousands
/// of small batches a second, each in its own request. If the rows of a partition are produced together, a batch
/// contains all rows that the page has for the partition. Order matters only within a key, and the rows of a key keep
/// their order, because they belong to one partition.
///
/// The partition of a row is only a guess. A wrong guess costs time but does not change the result.
struct ProduceOrder {
    /// A page that is not full is produced in its order, because no rows wait behind it.
    private static let minimumRows = 128

    /// - Parameters:
    ///   - page: the rows.
    ///   - partitions: the number of partitions of the topics, as far as it is known.
    /// - Returns: the indexes of the page's rows; nil if they are produced in the page's order.
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

/// The hash by which Kafka clients choose the partition of a key (Apache Kafka, `Utils.murmur2`; librdkafka,
/// `rd_murmur2`): MurmurHash2 with 32 bits and Kafka's seed.
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
