import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Kafka
import Postgres
import Projections
import StreamCore
import Synchronization
import TestKit
import Testing

/// A letter as it is stored in its topic.
struct LetterRecord: Sendable {
    let key: [UInt8]?
    let value: [UInt8]?
    let allHeaders: [RecordHeader]

    subscript(name: String) -> String? {
        allHeaders.last { $0.name == name }?.value.map { String(decoding: $0, as: UTF8.self) }
    }

    var reason: String { self["millrace.reason"] ?? "" }
    var delivery: Int { self["__dlq.errors.delivery.count"].flatMap { Int($0) } ?? 0 }
    var origin: String {
        ["topic", "partition", "offset"].map { self["__dlq.errors.\($0)"] ?? "" }.joined(separator: "/")
    }
    /// The event in the value.
    var event: LedgerEvent? { value.flatMap { LedgerEvent(String(decoding: $0, as: UTF8.self)) } }

    private static func bytes(_ span: Span<UInt8>?) -> [UInt8]? {
        guard let span else { return nil }
        return span.indices.map { span[$0] }
    }

    init(_ record: RecordView) {
        key = Self.bytes(record.key)
        value = Self.bytes(record.value)
        allHeaders = record.headers
    }
}

/// A ledger whose projection parks events, the dead-letter topics, and functions that act as a dead-letter handler.
final class ParkingScene: Sendable {
    let ledger: Ledger
    let route: DeadLetterRoute
    private let producer: Producer

    init(_ ledger: Ledger, _ change: (inout DeadLetterRoute) -> Void = { _ in }) throws {
        self.ledger = ledger
        var route = DeadLetterRoute(consumer: ledger.name)
        route.probeInitialMs = 50
        route.probeCeilingMs = 200
        change(&route)
        self.route = route
        producer = try Producer(ledger.kafka) { _ in }
    }

    static func with(
        _ change: (inout DeadLetterRoute) -> Void = { _ in }, partitions: Int32 = 4, retryTopicExists: Bool = true,
        topicSettings: [String: String] = [:], _ body: (ParkingScene) async throws -> Void
    ) async throws {
        try await Ledger.with(partitions: partitions, topicSettings: topicSettings) { ledger in
            let scene = try ParkingScene(ledger, change)
            let topics = [scene.route.letterTopic] + (retryTopicExists ? [scene.route.retryTopic] : [])
            try await TestKafka.withTopics(named: topics, partitions: 1) { try await body(scene) }
        }
    }

    func configuration(
        _ change: (inout ProjectionRunnerConfiguration) -> Void = { _ in }
    ) -> ProjectionRunnerConfiguration {
        ledger.configuration {
            $0.onFailure = .park(route)
            change(&$0)
        }
    }

    func runner(
        _ projection: LedgerProjection? = nil, postgres: PostgresConfiguration? = nil, observer: Observer? = nil,
        log: RecordedLog? = nil, _ change: (inout ProjectionRunnerConfiguration) -> Void = { _ in }
    ) -> ProjectionRunner<LedgerProjection> {
        ledger.runner(projection, configuration(change), postgres: postgres, observer: observer, log: log)
    }

    // MARK: letters

    /// All letters so far, in order.
    ///
    /// - Parameter kafka: the cluster to read from, if it is not the ledger's.
    func letters(on kafka: KafkaClientConfiguration? = nil) async throws -> [LetterRecord] {
        let topic = TopicPartition(topic: route.letterTopic, partition: 0)
        let consumer = try Consumer(kafka ?? ledger.kafka, group: TestKafka.uniqueName("letters"))
        var letters: [LetterRecord] = []
        do {
            let end = try await consumer.queryWatermarks(topic, timeoutMs: 60_000).high
            try await consumer.assign([topic: .beginning])
            var next: Int64 = 0
            while next < end {
                guard case .batch(let records) = try await consumer.poll(BatchLimits()) else { continue }
                letters += records.map { LetterRecord($0) }
                next = records.nextOffsets[topic] ?? next
            }
        } catch {
            await consumer.close(timeoutMs: 5_000)
            throw error
        }
        await consumer.close(timeoutMs: 5_000)
        return letters
    }

    func letters(_ reason: String) async throws -> [LetterRecord] {
        try await letters().filter { $0.reason == reason }
    }

    /// Waits until there are this many letters with this reason.
    @discardableResult
    func awaitLetters(_ reason: String, _ count: Int) async throws -> [LetterRecord] {
        var found: [LetterRecord] = []
        do {
            try await eventually {
                found = try await letters(reason)
                return found.count >= count
            }
        } catch {
            let all = try await letters().map { "\($0.reason)/\($0.delivery)" }
            Issue.record("\(found.count) of \(count) letters \(reason); all: \(all.prefix(40))")
            throw error
        }
        return found
    }

    /// Sends letters to the retry topic, as the dead-letter handler does.
    func retry(
        _ letters: [LetterRecord], delivery: Int = 2, action: String = "apply", times: Int = 1,
        value: [UInt8]? = nil, headers more: [String: String] = [:], through other: Producer? = nil
    ) async throws {
        for letter in letters {
            var headers = letter.allHeaders.filter {
                !$0.name.hasPrefix("__dlq.errors.") && !$0.name.hasPrefix("millrace.")
            }
            func add(_ name: String, _ value: String?) {
                if let value { headers.append(RecordHeader(name: name, value: Array(value.utf8))) }
            }
            for name in ["topic", "partition", "offset"] {
                add("__dlq.errors.\(name)", letter["__dlq.errors.\(name)"])
            }
            add("__dlq.errors.delivery.count", "\(delivery)")
            add("millrace.action", action)
            add("millrace.origin.timestamp", letter["millrace.origin.timestamp"])
            add("millrace.value.kept", letter["millrace.value.kept"])
            for (name, value) in more { add(name, value) }
            for _ in 0..<times {
                try await (other ?? producer).send(
                    topic: route.retryTopic, key: letter.key, value: action == "apply" ? value ?? letter.value : nil,
                    headers: headers)
            }
        }
    }

    /// Retries all open letters in their order until no event is parked.
    func retryUntilResolved() async throws {
        var delivery = 100
        try await eventually {
            let letters = try await letters()
            var open: [String: LetterRecord] = [:]
            var order: [String] = []
            for letter in letters where letter["__dlq.errors.offset"] != nil {
                switch letter.reason {
                case "failed", "blocked":
                    if open.updateValue(letter, forKey: letter.origin) == nil { order.append(letter.origin) }
                default:
                    open[letter.origin] = nil
                    order.removeAll { $0 == letter.origin }
                }
            }
            if open.isEmpty { return try await parked() == 0 }
            delivery += 1
            try await retry(order.compactMap { open[$0] }, delivery: delivery)
            let sent = delivery
            // The projection answers each retry with a letter.
            try await eventually {
                Set(try await self.letters().filter { $0.delivery == sent }.map(\.origin)).isSuperset(of: order)
            }
            return false
        }
    }

    // MARK: the database

    func parked() async throws -> Int64 {
        try await number("SELECT count(*) FROM parked_events WHERE reason <> 'discarded'")
    }

    func blockedKeys() async throws -> Int64 {
        try await number("SELECT count(DISTINCT sequence) FROM parked_events")
    }

    /// Number of partitions whose circuit breakers are open.
    func openBreakers() async throws -> Int64 {
        try await number(
            "SELECT count(DISTINCT (topic, partition)) FROM circuit_breakers WHERE opened_at IS NOT NULL")
    }

    func number(_ sql: String) async throws -> Int64 {
        try await ledger.withConnection { try await $0.execute(.unprepared(sql)).int64(0, 0) }
    }

    func execute(_ script: String) async throws {
        try await ledger.withConnection { try await $0.execute(script: script) }
    }

    /// Produces a record that the ledger does not count.
    func produce(
        key: [UInt8]?, _ value: [UInt8]?, headers: [RecordHeader] = [], through other: Producer? = nil
    ) async throws {
        try await (other ?? producer).send(topic: ledger.topics[0], key: key, value: value, headers: headers)
    }
}

/// A switch that a test turns on and off while a projection runs.
final class Switch: Sendable {
    private let state: Mutex<Bool>

    init(_ isOn: Bool) {
        state = Mutex(isOn)
    }

    var isOn: Bool {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

/// Produces a poison event in the middle of the events of 20 keys. Returns it, and the number of events of its key
/// after it.
func producePoison(
    _ ledger: Ledger, key: String = "k7", amount: Int64 = 1
) async throws -> (bad: LedgerEvent, behind: Int) {
    try await ledger.produce(count: 100, keys: 20)
    let bad = ledger.next(key, amount: amount)
    try await ledger.produce([bad])
    try await ledger.produce(count: 100, keys: 20)
    return (bad, 5)
}

func expectOthersApplied(_ ledger: Ledger, but bad: LedgerEvent) async throws {
    var expected = ledger.expectedRows()
    expected[bad.key] = nil
    var rows = try await ledger.rows()
    let own = rows.removeValue(forKey: bad.key)
    #expect(rows == expected)
    #expect(own?.lastSequence == bad.sequence - 1)
    #expect(own?.disorders == 0)
}
