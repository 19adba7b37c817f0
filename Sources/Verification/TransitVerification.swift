internal import Kafka
internal import Outbox
internal import Postgres
internal import StreamCore

/// Finds the committed events of any domain that are not in the read models yet: events in the outbox, events in Kafka,
/// and parked events.
///
/// If the database does not have the tables of the demo shop, nothing more can be checked, because this needs the rules
/// of the domain. Replays compare the rows of projections in SQL.
struct TransitVerification {
    let configuration: VerificationConfiguration
    let tables: VerifiedTables

    private static let patience: Duration = .milliseconds(100)

    /// - Parameter deadline: the time until which to wait for the events that were committed before the call.
    /// - Throws: ``VerificationError``, `PostgresError`, `KafkaError`.
    func run(
        _ writing: PostgresConnection, _ reading: PostgresConnection, until deadline: ContinuousClock.Instant
    ) async throws -> Verdict {
        guard let kafka = configuration.kafka else { throw VerificationError.noWriteModel }
        guard tables.hasProjections || tables.outbox != nil else {
            throw VerificationError.nothingToVerify(schema: configuration.readModel.schema)
        }
        var verdict = Verdict(method: .events)
        if let outbox = tables.outbox {
            var marker = try await writing.withTransaction { try await OutboxMarker.take(outbox, in: $0) }
            while !marker.waiting.isEmpty, .now < deadline {
                try await marker.refresh(writing, all: false)
                if !marker.waiting.isEmpty { try await Task.sleep(for: Self.patience) }
            }
            try await marker.refresh(writing, all: true)
            verdict.underWay.unpublished = marker.waiting.count
            verdict.underWay.setAside = marker.setAside.count
        } else {
            verdict.underWay.hasOutbox = false
        }
        if tables.hasProjections {
            verdict.underWay.projections = try await projections(KafkaAdmin(kafka), reading, until: deadline)
        }
        return verdict
    }

    /// The position of a live version.
    private struct Position {
        var next: [TopicPartition: Int64] = [:]
        let parked: Int
        let discarded: Int

        func waiting(before ends: [TopicPartition: Int64]) -> Int64 {
            next.reduce(0) { $0 + max((ends[$1.key] ?? 0) - $1.value, 0) }
        }
    }

    /// Waits until the live versions have passed the current ends of the partitions.
    private func projections(
        _ admin: KafkaAdmin, _ reading: PostgresConnection, until deadline: ContinuousClock.Instant
    ) async throws -> [Verdict.UnderWay.Projection] {
        var positions = try await positions(reading)
        let ends = try await admin.endOffsets(of: Set(positions.values.flatMap(\.next.keys)).sorted())
        while positions.values.contains(where: { $0.waiting(before: ends) > 0 }), .now < deadline {
            try await Task.sleep(for: Self.patience)
            positions = try await self.positions(reading)
        }
        return positions.sorted { $0.key < $1.key }.map { name, position in
            Verdict.UnderWay.Projection(
                name: name, waiting: Int(position.waiting(before: ends)), parked: position.parked,
                discarded: position.discarded)
        }
    }

    private func positions(_ reading: PostgresConnection) async throws -> [String: Position] {
        let rows = try await reading.execute(Self.positions)
        var positions: [String: Position] = [:]
        for row in 0..<rows.rowCount {
            let name = try rows.string(row, 0)
            let position = Position(parked: Int(try rows.int64(row, 4)), discarded: Int(try rows.int64(row, 5)))
            let partition = TopicPartition(topic: try rows.string(row, 1), partition: try rows.int32(row, 2))
            positions[name, default: position].next[partition] = try rows.int64(row, 3)
        }
        return positions
    }

    private static let positions: Statement = """
        SELECT p.name, o.topic, o.partition, o.next_offset, e.parked, e.discarded
        FROM projections AS p JOIN projection_offsets AS o ON o.projection_id = p.id
        LEFT JOIN projection_versions AS v ON v.name = p.name AND v.version = p.version
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE reason <> 'discarded'), count(*) FILTER (WHERE reason = 'discarded')
            FROM parked_events WHERE projection_id = p.id) AS e (parked, discarded)
        WHERE coalesce(v.state, 'live') = 'live'
        """
}
