/// Why a verification ends without a verdict.
public enum VerificationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The databases have neither projections nor an outbox.
    case nothingToVerify(schema: String)
    /// The tables that the comparison needs are not in the write model's database.
    case noWriteModel
    /// Topics of events do not exist.
    case noTopics([String])
    /// Kafka no longer has events that the projection has not applied.
    case eventsAreGone(projection: String, partition: String, next: Int64, oldest: Int64)
    /// Kafka deletes records faster than they are read, even those that the comparison with the write model needs.
    case topicIsGone(String)
    /// Kafka did not answer in time.
    case kafkaIsSilent(partition: String, milliseconds: Int)

    /// Whether the named databases are not those to verify, so that trying again does not help.
    public var isConfiguration: Bool {
        switch self {
        case .nothingToVerify, .noWriteModel: true
        case .noTopics, .eventsAreGone, .topicIsGone, .kafkaIsSilent: false
        }
    }

    public var description: String {
        switch self {
        case .nothingToVerify(let schema):
            "schema \(schema) has neither projections nor an outbox: run `millrace migrate up`, or name another one by "
                + "--schema"
        case .noWriteModel:
            "the database lacks the write model of orders (migration sets orders and outbox): name its database by "
                + "--database and that of the read models by --read-database; without the demo shop, --tables-only has "
                + "nothing to compare"
        case .noTopics(let topics):
            "topic \(topics.joined(separator: ", ")) does not exist; check --topic-suffix, or compare only the tables "
                + "with --tables-only"
        case .eventsAreGone(let projection, let partition, let next, let oldest):
            "\(projection) has not applied \(partition) from offset \(next), but Kafka has only the records from \(oldest): "
                + "rebuild the read model"
        case .topicIsGone(let partition):
            "Kafka deletes the records of \(partition) faster than they are read; try again"
        case .kafkaIsSilent(let partition, let milliseconds):
            "no answer about \(partition) within \(milliseconds) ms; check that Kafka is running"
        }
    }
}
