internal import Kafka
internal import StreamCore

/// Makes the producers of a shard: such that a failed record is overtaken by none of its key.
///
/// A relay's producer is idempotent, waits for ever (`message.timeout.ms=0`) and stops at a gap
/// (`enable.gapless.guarantee`): it retries by itself whatever passes, so only what does not pass is reported. A broker
/// takes a producer's batches for a partition in sequence only, so that once a batch was refused for good none behind
/// it is taken; and librdkafka, told to stop at gaps, does not number them anew. Hence the relay may forget the
/// producer, go back to the lowest row that is not acknowledged, and send all in order through a new one.
enum RelayProducer {
    /// - Parameter batches: how large they may be.
    static func make(
        _ configuration: OutboxRelayConfiguration, _ kafka: KafkaClientConfiguration, _ batches: BatchLimit,
        _ flight: Flight, _ reports: RelayReports
    ) throws(KafkaError) -> Producer {
        var kafka = kafka
        kafka.properties["message.timeout.ms"] = "0"
        // Another name of the same.
        kafka.properties["delivery.timeout.ms"] = nil
        kafka.properties["batch.size"] = batches.property ?? kafka.properties["batch.size"]
        // What is in flight is bounded by the flight table; the producer's own bound only has to be above it. The table
        // lets one more row go than fits, which may be as large as a record can be.
        let largest = kafka.properties["message.max.bytes"].flatMap { Int($0) } ?? 1_000_000
        let needed = max(4_096, (2 * configuration.maxInFlightBytes + largest) >> 10 + 1)
        let given = kafka.properties["queue.buffering.max.kbytes"].flatMap { Int($0) }
        // A record that is larger than the whole queue would wait for ever.
        kafka.properties["queue.buffering.max.kbytes"] = String(given.map { max($0, largest >> 10 + 64) } ?? needed)
        // What is fatal is told by the records that fail with it.
        return try Producer(
            kafka, stopsAtGap: true, onError: { if !$0.isFatal { reports.kafka($0) } },
            onDelivery: { flight.report($0) })
    }
}

/// How large a batch may be: a topic whose `max.message.bytes` is below the client's `batch.size` refuses whole batches
/// of records that it takes one by one. A pure value.
struct BatchLimit: Equatable {
    private static let least = 1_024

    private var bytes: Int
    private var isLowered = false

    init(_ kafka: KafkaClientConfiguration) {
        func number(_ property: String) -> Int? { kafka.properties[property].flatMap { Int($0) } }
        bytes = min(number("batch.size") ?? 1_000_000, number("message.max.bytes") ?? 1_000_000)
    }

    /// The client's property; nil while it is as configured.
    var property: String? { isLowered ? String(bytes) : nil }

    /// Halves the limit when a batch of several records was refused as too large.
    ///
    /// - Returns: whether it did: then it is not the records' fault.
    mutating func lower(after errors: [KafkaError]) -> Bool {
        guard errors.count(where: \.isTooLarge) > 1, bytes > Self.least else { return false }
        bytes = max(Self.least, bytes / 2)
        isLowered = true
        return true
    }
}

/// What it means for the relay that Kafka did not take a record.
enum DeliveryFailure {
    /// This record, or one that it shares a batch with, is at fault.
    case record
    /// The topic is not there, or not for us.
    case topic
    /// The producer or the cluster: try the same again with a new producer.
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

/// Why a row can never be published as it is.
struct RowFailure: Error {
    /// `too_large`, `invalid_topic`, …: for grouping.
    let errorClass: String
    /// For people; holds none of the row's data.
    let message: String

    init(_ errorClass: String, _ message: String) {
        self.errorClass = errorClass
        self.message = message
    }

    init(_ error: KafkaError) {
        self.init(error.name.lowercased(), error.message)
    }

    /// What mapping or handing over the row threw.
    init(of error: any Error) {
        switch error {
        case let failure as RowFailure: self = failure
        case let error as KafkaError where DeliveryFailure(error) == .record: self.init(error)
        default: self.init("invalid_row", "\(error)")
        }
    }
}
