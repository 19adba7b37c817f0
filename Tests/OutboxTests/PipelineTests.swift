import EmbeddedKafka
import Kafka
import Postgres
import TestKit
import Testing

@testable import Outbox

/// Several batches of a partition are in flight at the same time, and the first of them is refused.
///
/// The mock cluster accepts each batch, whatever happened to the previous one. Real brokers do so only if they do not
/// know the producer. If they know it, they refuse the later batch.
@Suite struct PipelineTests {
    /// Sends each record as a batch of its own. Five batches may be in flight.
    private func pipelined(_ kafka: KafkaClientConfiguration) -> KafkaClientConfiguration {
        var kafka = kafka
        kafka.properties["batch.num.messages"] = "1"
        kafka.properties["retry.backoff.ms"] = "20"
        return kafka
    }

    /// A key that belongs to this one of two partitions.
    private func key(in partition: UInt32, _ number: Int = 0) -> String {
        var names = (0...).lazy.map { "key-\($0)" }.filter {
            Murmur2.hash(Array($0.utf8).span) & 0x7FFF_FFFF % 2 == partition
        }.makeIterator()
        var name = names.next() ?? ""
        for _ in 0..<number { name = names.next() ?? "" }
        return name
    }

    // NOT_LEADER_FOR_PARTITION and NOT_ENOUGH_REPLICAS are temporary errors: librdkafka sends the batch again, and
    // reports it as delivered if the broker accepted a later batch first. INVALID_RECORD is permanent.
    @Test(arguments: [6, 19, 87] as [Int32])
    func refusalOfAPartitionsFirstBatchLosesAndReordersNothing(code: Int32) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("fresh", partitions: 2)
                let reader = try await Reader(kafka, ["fresh"], partitions: 2)
                let service = try await Service(postgres)
                try await withRelay(quickConfiguration(), postgres, pipelined(kafka)) {
                    // The relay has sent records to one partition of the topic, but none to the other.
                    try await service.commit("fresh", key(in: 0), 1...1)
                    try await reader.readSequences([key(in: 0): 1])
                    try await eventually { try await service.count() == 0 }
                    cluster.pushRequestErrors(.produce, [code])
                    try await service.connection.withTransaction { transaction in
                        for number in 0..<3 {
                            try await transaction.execute(
                                Service.insert, Service.parameters("fresh", key(in: 1, number), 1...10))
                        }
                    }
                    try await reader.readSequences(
                        [key(in: 1, 0): 10, key(in: 1, 1): 10, key(in: 1, 2): 10, key(in: 0): 1])
                    try await eventually { try await service.count() == 0 }
                    #expect(try await service.count(in: "outbox_failed") == 0)
                }
                await reader.close()
            }
        }
    }

    @Test(arguments: [6, 19, 87] as [Int32])
    func refusalOfALaterBatchLosesNothingAndSendsAllBehindItAgain(code: Int32) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("known", partitions: 1)
                let reader = try await Reader(kafka, ["known"], partitions: 1)
                let service = try await Service(postgres)
                try await withRelay(quickConfiguration(), postgres, pipelined(kafka)) {
                    try await service.commit("known", "a", 1...2)
                    try await reader.readSequences(["a": 2])
                    try await eventually { try await service.count() == 0 }
                    cluster.pushRequestErrors(.produce, [code])
                    try await service.commit("known", "a", 3...60)
                    try await eventually { try await service.count() == 0 }
                    try await eventually {
                        try await reader.poll()
                        return Set(await reader.records.map(\.sequence)).count == 60
                    }
                    // When a last record has been read, every record that was in the topic before it has been read too.
                    try await service.commit("known", "a", 61...61)
                    try await eventually {
                        try await reader.poll()
                        return await reader.records.last?.sequence == 61
                    }
                    #expect(try await service.count(in: "outbox_failed") == 0)
                }
                // If the mock cluster accepted younger records before the refused one, the relay published them again
                // after it.
                #expect(await reader.lastOccurrences["a"] == Array(1...61))
                await reader.close()
            }
        }
    }

    @Test func batchThatIsTooLargeAsAWholeIsSentInSmallerOnes() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("narrow", partitions: 1)
                let reader = try await Reader(kafka, ["narrow"], partitions: 1)
                let service = try await Service(postgres)
                var patient = withFaults(kafka)
                patient.properties["linger.ms"] = "200"
                try await withRelay(quickConfiguration(), postgres, patient) {
                    try await service.commit("narrow", "a", 1...1)
                    try await reader.readSequences(["a": 1])
                    // MSG_SIZE_TOO_LARGE: the cluster refuses this batch. Later batches are small enough.
                    cluster.pushRequestErrors(.produce, [10])
                    try await service.commit("narrow", "a", 2...40)
                    try await reader.readSequences(["a": 40])
                    try await eventually { try await service.count() == 0 }
                    #expect(try await service.count(in: "outbox_failed") == 0, "no single row was too large")
                }
                await reader.close()
            }
        }
    }

    @Test func batchesOfSeveralRecordsShrinkUntilTheyAreTaken() throws {
        let producer = try Producer(KafkaClientConfiguration(bootstrapServers: "127.0.0.1:1")) { _ in }
        let large = [UInt8](repeating: 1, count: 1_100_000)
        let error = try #require(throws: KafkaError.self) {
            try producer.produce(topic: "t", key: nil, value: large.span, headers: nil, tag: 1)
        }
        #expect(error.isTooLarge)
        var kafka = KafkaClientConfiguration(bootstrapServers: "b", properties: ["batch.size": "4000"])
        var limit = BatchLimit(kafka)
        #expect(limit.property == nil)
        #expect(!outcome(limit.lower(after: [error])), "one record is too large by itself")
        #expect(outcome(limit.lower(after: [error, error])))
        #expect(limit.property == "2000")
        #expect(outcome(limit.lower(after: [error, error])))
        #expect(limit.property == "1024")
        #expect(!outcome(limit.lower(after: [error, error])), "the limit cannot be lowered further")
        kafka.properties = [:]
        #expect(BatchLimit(kafka).property == nil)
    }

    @Test func recordOfTenMebibytesIsPublishedWhereSettingsAllowIt() async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("wide", partitions: 1)
                let service = try await Service(postgres)
                try await service.connection.execute(
                    script: """
                        INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                        SELECT 'Tested', 'wide', 'a', number, json_build_object(
                            'x', repeat('y', CASE number WHEN 2 THEN 10485760 ELSE 1 END))
                        FROM generate_series(1, 3) AS number
                        """)
                var wide = kafka
                wide.properties["message.max.bytes"] = "20000000"
                wide.properties["compression.type"] = "lz4"
                try await withRelay(quickConfiguration(), postgres, wide) {
                    try await eventually { try await service.count() == 0 }
                    #expect(try await service.count(in: "outbox_failed") == 0)
                }
            }
        }
    }

    @Test(arguments: ["delivery.timeout.ms", "message.timeout.ms"])
    func theRelayGivesNoRecordUpWhateverTheSettingsSay(property: String) async throws {
        try await TestDatabase.withSchema(migrating: ["outbox"]) { postgres in
            try await TestKafka.withPrivateCluster { cluster, kafka in
                try cluster.createTopic("slow", partitions: 1)
                try cluster.setBrokerDown(1)
                var hasty = kafka
                hasty.properties[property] = "1000"
                let service = try await Service(postgres)
                try await service.commit("slow", "a", 1...10)
                let told = Told()
                try await withRelay(quickConfiguration(), postgres, hasty, onProgress: { told.append($0) }) {
                    // The relay reports its progress once a second.
                    try await eventually { told.all.count { $0.inFlight > 0 } >= 4 }
                    #expect(told.all.allSatisfy { $0.inFlight <= 1 }, "only the first record is in flight")
                    try cluster.setBrokerUp(1)
                    try await eventually { try await service.count() == 0 }
                }
            }
        }
    }
}
