import Glibc
import Kafka
import Postgres
import TestKit
import Testing

@testable import Outbox

/// Several relay processes share the shards of one table.
@Suite struct SharedShardsTests {
    private static let shards = 6
    private static let keys = 24

    /// Writes events, reads their records, and checks which process owns which shard.
    private struct Scene {
        let topic: String
        let service: Service
        let reader: Reader
        let membership: RelayMembership
        /// Number of events written of each key.
        var written: Int64 = 0

        init(_ topic: String, _ postgres: PostgresConfiguration, _ kafka: KafkaClientConfiguration) async throws {
            self.topic = topic
            service = try await Service(postgres)
            reader = try await Reader(kafka, [topic], partitions: 4)
            // This membership only looks at the locks. It does not become a member.
            membership = RelayMembership(
                keys: RelayLockKeys(schema: postgres.schema, table: "outbox", shards: SharedShardsTests.shards),
                connection: try await PostgresConnection.connect(postgres))
        }

        private static let insert: Statement = """
            INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
            SELECT 'Tested', $1, 'k-' || key, $2, '{}' FROM generate_series(1, $3::int) AS key
            """

        /// Writes one more event of each key and reads the records that have come.
        mutating func work() async throws {
            written += 1
            let parameters = Parameters {
                $0.append(topic)
                $0.append(written)
                $0.append(Int32(SharedShardsTests.keys))
            }
            try await service.connection.execute(Self.insert, parameters)
            try await reader.poll()
        }

        /// Works until the processes own these numbers of shards.
        mutating func work(
            untilShared counts: [Int], sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let deadline = ContinuousClock.now + DeadlinePassed.limit
            var shared: [Int] = []
            while shared != counts {
                guard ContinuousClock.now < deadline else {
                    Issue.record("shards shared as \(shared), expected \(counts)", sourceLocation: sourceLocation)
                    throw DeadlinePassed(place: sourceLocation)
                }
                try await work()
                let owners = try await membership.look().owners.values
                shared = Dictionary(grouping: owners) { $0 }.values.map(\.count).sorted(by: >)
            }
            // The relays also publish with this distribution.
            for _ in 0..<5 { try await work() }
        }

        /// Reads until all written events have been published. Returns the number of repeated records.
        func readAll(sourceLocation: SourceLocation = #_sourceLocation) async throws -> Int {
            let counts = (1...SharedShardsTests.keys).map { ("k-\($0)", written) }
            try await reader.readSequences(
                Dictionary(uniqueKeysWithValues: counts), sourceLocation: sourceLocation)
            try await eventually(sourceLocation: sourceLocation) { try await service.count() == 0 }
            try await reader.poll()
            return await reader.records.count - Int(written) * SharedShardsTests.keys
        }
    }

    /// Handing over a shard repeats no record. `kill -9` may repeat the records that were in flight.
    @Test func threeProcessesShareSixShardsWhoeverComesAndGoes() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withTopics(partitions: 4) { topics in
                let kafka = try TestKafka.clientConfiguration()
                let settings = [
                    "relay.shards": "\(Self.shards)", "relay.election_interval_ms": "200",
                    "relay.max_in_flight_rows": "100",
                ]
                func start() throws -> Executable { try startRelayProcess(postgres, kafka, settings) }
                var scene = try await Scene(topics[0], postgres, kafka)
                let first = try start()
                try await scene.work(untilShared: [6])
                let (second, third) = (try start(), try start())
                try await scene.work(untilShared: [2, 2, 2])
                #expect(try await scene.readAll() == 0, "handing over repeats nothing")

                second.signal(SIGKILL)
                _ = try await second.exitCode()
                try await scene.work(untilShared: [3, 3])
                let repeated = try await scene.readAll()
                // The records of two shards that were in flight, or were acknowledged but not removed.
                #expect(repeated <= 2 * 300, "\(repeated) records came again")

                let fourth = try start()
                try await scene.work(untilShared: [2, 2, 2])
                try await third.stop()
                try await scene.work(untilShared: [3, 3])
                #expect(try await scene.readAll() == repeated, "stopping repeats nothing either")
                for relay in [first, fourth] { try await relay.stop() }
                await scene.reader.close()
            }
        }
    }

    @Test func aProcessTakesOverWhatAnotherHeldWhenItStops() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withTopics(partitions: 4) { topics in
                let kafka = try TestKafka.clientConfiguration()
                var configuration = quickConfiguration()
                configuration.shards = Self.shards
                var scene = try await Scene(topics[0], postgres, kafka)
                let told = Told()
                scene = try await withRelay(configuration, postgres, kafka, onProgress: { told.append($0) }) {
                    var scene = scene
                    try await withRelay(configuration, postgres, kafka) {
                        try await scene.work(untilShared: [3, 3])
                    }
                    try await scene.work(untilShared: [6])
                    try await eventually { Set(told.all.filter(\.isActive).map(\.shard)).count == Self.shards }
                    return scene
                }
                #expect(told.all.contains { $0.standing == .standingBy })
                await scene.reader.close()
            }
        }
    }
}
