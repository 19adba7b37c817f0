/// The headers of a record that can contain the type of its event. The first of them that a record has counts.
public enum EventTypeHeader {
    /// In order: Millrace's; the usual additional field of Debezium's outbox event router; CloudEvents', in the binary
    /// content mode of its Kafka binding.
    public static let names: [StaticString] = ["event-type", "eventType", "ce_type"]
}
