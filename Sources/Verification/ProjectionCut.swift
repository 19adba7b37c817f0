internal import Events
internal import Orders
internal import Postgres
internal import StreamCore

/// The original position of a record.
struct RecordOrigin: Hashable, Sendable {
    let partition: TopicPartition
    let offset: Int64
}

/// The position of a projection at the time of the snapshot, and the events before it that the projection did not
/// apply.
struct ProjectionCut: Sendable {
    let name: String
    private(set) var nextOffsets: [TopicPartition: Int64] = [:]
    private(set) var parked: Set<RecordOrigin> = []
    /// The number of parked events that an operator discarded.
    private(set) var discarded = 0
    private(set) var consumerGroup: String?
    /// The version of the read model; 0 if the projection has never existed.
    private(set) var version: Int32 = 0
    /// The record keys of parked events, if they are short enough to be stored unchanged.
    private(set) var parkedKeys: Set<[UInt8]> = []
    /// The number of parked events whose key is unknown.
    private(set) var parkedWithoutKey = 0
    /// Events that were parked and applied later, possibly corrected, from records of the projection's retry topic or
    /// from operators' decisions.
    var retried: [RecordOrigin: OrderEvent] = [:]

    init(name: String) {
        self.name = name
    }

    init(name: String, nextOffsets: [TopicPartition: Int64], parkedAt offsets: Set<Int64>) {
        self.name = name
        self.nextOffsets = nextOffsets
        for partition in nextOffsets.keys {
            parked.formUnion(offsets.map { RecordOrigin(partition: partition, offset: $0) })
        }
    }

    /// Reads the offsets and parked events of a version of the projection, and the decisions of operators about events.
    ///
    /// - Parameters:
    ///   - name: the name of the projection.
    ///   - version: the version; nil for the live one.
    ///   - transaction: a transaction on the read model.
    /// - Returns: nil if the projection has never existed.
    static func read(
        _ name: String, version: Int?, in transaction: PostgresTransaction
    ) async throws -> ProjectionCut? {
        let versions = try await transaction.execute(
            Self.selectVersion,
            Parameters {
                $0.append(name)
                $0.append(version.map { Int32(clamping: $0) })
            })
        if versions.rowCount == 0 { return nil }
        let id = try versions.int64(0, 0)
        var cut = ProjectionCut(name: name)
        cut.consumerGroup = try versions.string(0, 1)
        cut.version = try versions.int32(0, 2)
        let offsets = try await transaction.execute(
            "SELECT topic, partition, next_offset FROM projection_offsets WHERE projection_id = $1",
            Parameters { $0.append(id) })
        for row in 0..<offsets.rowCount {
            let partition = TopicPartition(topic: try offsets.string(row, 0), partition: try offsets.int32(row, 1))
            cut.nextOffsets[partition] = try offsets.int64(row, 2)
        }
        let parked = try await transaction.execute(
            """
            SELECT topic, partition, record_offset, encode(sequence, 'hex'), reason = 'discarded' FROM parked_events
            WHERE projection_id = $1
            """, Parameters { $0.append(id) })
        for row in 0..<parked.rowCount {
            let partition = TopicPartition(topic: try parked.string(row, 0), partition: try parked.int32(row, 1))
            cut.parked.insert(RecordOrigin(partition: partition, offset: try parked.int64(row, 2)))
            if try parked.bool(row, 4) { cut.discarded += 1 }
            if let key = try parked.optionalString(row, 3).map({ Self.bytes(hexadecimal: $0) }) {
                cut.parkedKeys.insert(key)
            } else {
                cut.parkedWithoutKey += 1
            }
        }
        try await cut.readDecisions(in: transaction)
        return cut
    }

    /// Reads the decisions that operators had made before this version read the events. A decision discards an event or
    /// replaces its value.
    private mutating func readDecisions(in transaction: PostgresTransaction) async throws {
        let decisions = try await transaction.execute(
            "SELECT topic, partition, record_offset, corrected_value FROM event_decisions WHERE consumer = $1",
            Parameters { $0.append(name) })
        for row in 0..<decisions.rowCount {
            let partition = TopicPartition(
                topic: try decisions.string(row, 0), partition: try decisions.int32(row, 1))
            let origin = RecordOrigin(partition: partition, offset: try decisions.int64(row, 2))
            guard !parked.contains(origin) else { continue }
            if decisions.isNull(row, 3) {
                parked.insert(origin)
                discarded += 1
            } else if case .event(let event)? = try? OrderEventDecoder.decode(decisions.bytes(row, 3)) {
                retried[origin] = event
            }
        }
    }

    private static let selectVersion: Statement = """
        SELECT p.id, p.consumer_group, p.version
        FROM projections AS p LEFT JOIN projection_versions AS v USING (name, version)
        WHERE name = $1 AND CASE WHEN $2::int IS NULL THEN coalesce(v.state, 'live') = 'live' ELSE version = $2 END
        ORDER BY version DESC LIMIT 1
        """

    private static func bytes(hexadecimal text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
        }
    }

    /// Whether the projection's rows contain the event of a record.
    func holds(_ origin: RecordOrigin) -> Bool {
        guard origin.offset < nextOffsets[origin.partition] ?? 0, !parked.contains(origin) else { return false }
        return retried[origin] == nil
    }
}
