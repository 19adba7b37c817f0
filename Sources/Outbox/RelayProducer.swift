internal import Kafka
internal import StreamCore

/// Creates the producers of a shard. They are configured so that no later record of a key overtakes a failed one.
///
/// A relay's producer is idempotent, waits without a limit (`message.timeout.ms=0`) and stops at a gap
/// (`enable.gapless.guarantee`). It retries temporary errors itself, so it reports only permanent ones. A broker
/// accepts the batches of a producer for a partition only in sequence. After it has refused a batch permanently, it
/// accepts no later one, and librdkafka, which stops at gaps, does not number them again. Therefore the relay may drop
/// the producer, go back to the lowest row without an acknowledgement, and send all rows in order with a new one.
enum RelayProducer {
    /// - Parameter batches: the maximum size of batches.
    static func make(
        _ configuration: OutboxRelayConfiguration, _ kafka: KafkaClientConfiguration, _ batches: BatchLimit,
        _ flight: Flight, _ reports: RelayReports
    ) throws(KafkaError) -> Producer {
        var kafka = kafka
        kafka.properties["message.timeout.ms"] = "0"
        // An alias of the same property.
        kafka.properties["delivery.timeout.ms"] = nil
        kafka.properties["batch.size"] = batches.property ?? kafka.properties["batch.size"]
        // The flight table limits the rows in flight, so the producer's own limit only has to be higher. The table
        // admits one row beyond its limit, and this row may have the maximum size of a record.
        let largest = kafka.properties["message.max.bytes"].flatMap { Int($0) } ?? 1_000_000
        let needed = max(4_096, (2 * configuration.maxInFlightBytes + largest) >> 10 + 1)
        let given = kafka.properties["queue.buffering.max.kbytes"].flatMap { Int($0) }
        // A record that is larger than the whole queue would wait forever.
        kafka.properties["queue.buffering.max.kbytes"] = String(given.map { max($0, largest >> 10 + 64) } ?? needed)
        // Fatal errors are reported with the records that fail.
        return try Producer(
            kafka, stopsAtGap: true, onError: { if !$0.isFatal { reports.kafka($0) } },
            onDelivery: { flight.report($0) })
    }
}

/// The maximum size of a batch. A topic whose `max.message.bytes` is below the client's `batch.size` refuses batches of
/// records that it would accept one by one. This is a pure value.
struct BatchLimit: Equatable {
    private static let least = 1_024

    private var bytes: Int
    private var isLowered = false

    init(_ kafka: KafkaClientConfiguration) {
        func number(_ property: String) -> Int? { kafka.properties[property].flatMap { Int($0) } }
        bytes = min(number("batch.size") ?? 1_000_000, number("message.max.bytes") ?? 1_000_000)
    }

    /// The value of the client's property; nil while the configured value is used.
    var property: String? { isLowered ? String(bytes) : nil }

    /// Halves the limit after a batch of several records was refused as too large.
    ///
    /// - Returns: whether the limit was halved. Then the records are not the cause.
    mutating func lower(after errors: [KafkaError]) -> Bool {
        guard errors.count(where: \.isTooLarge) > 1, bytes > Self.least else { return false }
        bytes = max(Self.least, bytes / 2)
        isLowered = true
        return true
    }
}

/// The meaning of a refused record for the relay.
enum DeliveryFailure {
    /// This record, or another one of its batch, is invalid.
    case record
    /// The topic does not exist, or the relay has no right to it.
    case topic
    /// The producer or the cluster failed: try again with a new producer.
    case producer

    init(_ error: KafkaError) {
        if error.isUnknownTopic || error.name == "TOPIC_AUTHORIZATION_FAILED" {
            self = .topic
        } else if error.kind == .permanent {
            self = .record
        } else {
            self = .producer
        }
    }
}

/// The reason why a row can never be published.
struct RowFailure: Error {
    /// `too_large`, `invalid_topic`, …: the class, for grouping.
    let errorClass: String
    /// The text for operators. It contains no data of the row.
    let message: String

    init(_ errorClass: String, _ message: String) {
        self.errorClass = errorClass
        self.message = message
    }

    init(_ error: KafkaError) {
        self.init(error.name.lowercased(), error.message)
    }

    /// The error that occurred while the row was converted or passed to the producer.
    init(of error: any Error) {
        switch error {
        case let failure as RowFailure: self = failure
        case let error as KafkaError where DeliveryFailure(error) == .record: self.init(error)
        default: self.init("invalid_row", "\(error)")
        }
    }
}
