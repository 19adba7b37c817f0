internal import Kafka
internal import StreamCore

/// Makes the producers of a shard: such that a failed record is overtaken by none of its key.
///
/// A relay's producer is idempotent, waits for ever (`message.timeout.ms=0`) and stops at a gap
/// (`enable.gapless.guarantee`): it retries by itself whatever passes, so only what does not pass is reported. A broker
/// takes a producer's batches for a partition in sequence only, so that once a batch was refused for good none behind it
/// is taken; and librdkafka, told to stop at gaps, does not number them anew. Hence the relay may forget the producer,
/// go back to the lowest row that is not acknowledged, and send all in order through a new one.
enum RelayProducer {
    static func make(
        _ configuration: OutboxRelayConfiguration, _ kafka: KafkaClientConfiguration, _ flight: Flight,
        _ reports: RelayReports
    ) throws(KafkaError) -> Producer {
        let defaults = [
            // What is in flight is bounded by the flight table; the producer's own bound only has to be above it.
            "queue.buffering.max.kbytes": String(max(4_096, configuration.maxInFlightBytes >> 9))
        ]
        var kafka = kafka
        kafka.properties.merge(defaults) { given, _ in given }
        kafka.properties["message.timeout.ms"] = "0"
        // What is fatal is told by the records that fail with it.
        return try Producer(
            kafka, stopsAtGap: true, onError: { if !$0.isFatal { reports.kafka($0) } },
            onDelivery: { flight.report($0) })
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
}
