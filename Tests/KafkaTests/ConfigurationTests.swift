import Kafka
import StreamCore
import Testing

@Suite struct ConfigurationTests {
    @Test func takesWhatLibrdkafkaTakes() {
        let configuration = KafkaClientConfiguration(
            bootstrapServers: "localhost:9092",
            properties: ["linger.ms": "5", "security.protocol": "ssl", "session.timeout.ms": "10000"])
        #expect(configuration.validate().isEmpty)
    }

    @Test func namesAllProblemsAtOnce() {
        let configuration = KafkaClientConfiguration(
            bootstrapServers: "",
            properties: ["linger.mss": "5", "session.timeout.ms": "soon", "fetch.wait.max.ms": "-5"])
        let problems = configuration.validate()
        #expect(
            problems.map(\.property)
                == ["bootstrap.servers", "fetch.wait.max.ms", "linger.mss", "session.timeout.ms"])
        #expect(problems[2].message == "librdkafka has no such property")
        #expect(problems.allSatisfy { !$0.message.isEmpty })
    }

    @Test(arguments: [
        "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "enable.idempotence", "acks",
        "request.required.acks", "transactional.id", "bootstrap.servers", "metadata.broker.list", "client.id",
        "delivery.report.only.error", "partitioner",
    ])
    func refusesWhatTheClientsOwnAndSaysWhy(property: String) throws {
        let configuration = KafkaClientConfiguration(bootstrapServers: "localhost", properties: [property: "true"])
        let problem = try #require(configuration.validate().first)
        #expect(problem.property == property)
        #expect(problem.message.hasPrefix("cannot be set, because "))
    }

    @Test func clientsRefuseAWrongConfiguration() throws {
        let wrong = KafkaClientConfiguration(bootstrapServers: "localhost", properties: ["no.such": "1"])
        let ofProducer = try #require(throws: KafkaError.self) { try Producer(wrong) { _ in } }
        let ofConsumer = try #require(throws: KafkaError.self) { try Consumer(wrong, group: "g") }
        for error in [ofProducer, ofConsumer] {
            #expect(error.message.contains("no.such"))
            #expect(error.kind == .everything)
        }
        // Each property is valid by itself, but librdkafka does not allow the combination.
        let contradictory = KafkaClientConfiguration(
            bootstrapServers: "localhost", properties: ["max.in.flight.requests.per.connection": "100"])
        #expect(contradictory.validate().isEmpty)
        #expect(throws: KafkaError.self) { try Producer(contradictory) { _ in } }
    }
}
