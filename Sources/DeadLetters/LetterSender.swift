internal import Kafka
internal import Postgres
internal import StreamCore

/// Sends queued letters in order, and deletes a row of the queue after Kafka acknowledged the letter: the outbox of the
/// handler. It works in the session that holds the handler's lock, so only one sender works.
///
/// After a crash between acknowledgement and deletion, a letter is sent twice with one delivery number. Its consumer
/// receives it twice, or for letters of other programs the readers of the original topic.
struct LetterSender {
    /// The result of one turn.
    struct Turn {
        /// Finished rows: acknowledged or returned.
        var done = 0
        /// The reason why some letters were not sent and will be tried again.
        var failure: KafkaError?
    }

    private let connection: PostgresConnection
    private let configuration: DeadLetterHandlerConfiguration
    private let kafka: KafkaClientConfiguration
    private let telemetry: HandlerTelemetry
    private var producer: (client: Producer, reports: AsyncStream<[DeliveryReport]>)?
    private var topics: TopicDirectory
    private var heldUntil: [String: ContinuousClock.Instant] = [:]
    /// After a batch was refused because of one record, each record is sent alone to find it.
    private var singles = 0

    init(
        _ connection: PostgresConnection, _ configuration: DeadLetterHandlerConfiguration,
        _ kafka: KafkaClientConfiguration, _ telemetry: HandlerTelemetry
    ) throws(KafkaError) {
        self.connection = connection
        self.configuration = configuration
        self.telemetry = telemetry
        var kafka = kafka
        kafka.properties.merge(["message.timeout.ms": "30000"]) { given, _ in given }
        self.kafka = kafka
        topics = try TopicDirectory(kafka)
    }

    /// Sends one page.
    mutating func turn() async throws -> Turn {
        let now = ContinuousClock.now
        heldUntil = heldUntil.filter { $0.value > now }
        let page = try await QueuedSend.page(
            letters: singles > 0 ? 1 : configuration.sendLetters, bytes: configuration.sendBytes,
            without: Array(heldUntil.keys), on: connection)
        if page.isEmpty { return Turn() }
        singles = max(0, singles - 1)

        var outcome = PageOutcome()
        let present = try await topics.present(Set(page.compactMap(\.topic)))
        var sendable: [QueuedSend] = []
        for send in page {
            switch send.topic {
            case nil: outcome.refused.append((send, "its original topic is unknown"))
            case let topic? where !present.contains(topic):
                outcome.refused.append((send, "topic \(topic) does not exist"))
            default: sendable.append(send)
            }
        }
        try await produce(sendable, into: &outcome)
        try await SendStatements.finish(outcome, stuckAfterMs: configuration.stuckAfterMs, on: connection)
        telemetry.sent(outcome)
        for topic in outcome.held.keys { heldUntil[topic] = .now + .milliseconds(configuration.topicHoldMs) }
        if outcome.findsCulprit { singles = page.count }
        return Turn(done: outcome.acknowledged.count + outcome.refused.count, failure: outcome.lastError)
    }

    /// Produces in order and waits for all acknowledgements.
    private mutating func produce(_ sends: [QueuedSend], into outcome: inout PageOutcome) async throws {
        if sends.isEmpty { return }
        let (client, reports) = try openProducer()
        var waiting: [UInt64: QueuedSend] = [:]
        var failed: [(QueuedSend, KafkaError)] = []
        sending: for send in sends {
            while true {
                do throws(KafkaError) {
                    try client.produce(
                        topic: send.topic ?? "", key: send.key?.span, value: send.value?.span,
                        headers: send.recordHeaders(), tag: UInt64(send.sendID))
                    waiting[UInt64(send.sendID)] = send
                    break
                } catch {
                    if error.isQueueFull {
                        await client.waitForSpace()
                        continue
                    }
                    failed.append((send, error))
                    // No later record of the topic may overtake it. Only a record that can never be sent is skipped.
                    if error.kind != .permanent { break sending }
                    break
                }
            }
        }
        // Each record is reported, at the latest after its timeout.
        var iterator = reports.makeAsyncIterator()
        while !waiting.isEmpty, let batch = await iterator.next() {
            for report in batch {
                guard let send = waiting.removeValue(forKey: report.tag) else { continue }
                if let error = report.error { failed.append((send, error)) } else { outcome.acknowledged.append(send) }
            }
        }
        for (send, error) in failed { outcome.add(send, error, wasAlone: sends.count == 1) }
        if client.fatalError != nil {
            await client.close(timeoutMs: 1_000)
            producer = nil
        }
    }

    private mutating func openProducer() throws(KafkaError) -> (Producer, AsyncStream<[DeliveryReport]>) {
        if let producer { return producer }
        // At most one page is in the stream, because the next page is produced after all records of this one were
        // reported.
        let (reports, continuation) = AsyncStream.makeStream(of: [DeliveryReport].self)
        let telemetry = telemetry
        let client = try Producer(
            kafka, stopsAtGap: true, onError: { if !$0.isFatal { telemetry.kafkaFailing($0) } },
            onDelivery: { continuation.yield($0) })
        producer = (client, reports)
        return (client, reports)
    }

    func close() async {
        await producer?.client.close(timeoutMs: 1_000)
    }
}

/// The result of a page.
struct PageOutcome {
    var acknowledged: [QueuedSend] = []
    /// Letters that cannot be sent, with the reason.
    var refused: [(send: QueuedSend, reason: String)] = []
    /// Topics that accepted no records for now.
    var held: [String: KafkaError] = [:]
    /// The reason why some letters were not sent and will be tried again.
    var lastError: KafkaError?
    /// One record of a refused batch caused the refusal.
    var findsCulprit = false

    mutating func add(_ send: QueuedSend, _ error: KafkaError, wasAlone: Bool) {
        if error.isUnknownTopic {
            refused.append((send, "topic \(send.topic ?? "") does not exist"))
        } else if error.kind == .permanent {
            if wasAlone { refused.append((send, error.message)) } else { findsCulprit = true }
        } else {
            // A record that failed only because of another record of the producer is sent again by the next producer.
            // The topic of the other record is held for some time, so that the remaining records can be sent.
            if error.isTimeout || error.name == "TOPIC_AUTHORIZATION_FAILED" { held[send.topic ?? ""] = error }
            lastError = error
        }
    }
}
