public import Kafka
public import StreamCore

/// Why a projection's run ended itself. For every other failure the runner waits until it is over or stops a partition.
public enum ProjectionError: Error, Sendable {
    /// The database answers but refused everything several times in a row: the schema is missing or wrong, or a
    /// privilege is missing. A restart does not help before a person changes something.
    case unusable(any Error)
    /// The configuration is invalid. Contains the problems.
    case configuration([String])
    /// The Kafka client is in a state that it cannot leave.
    case kafka(KafkaError)
    /// The current work did not end within the time limit after the request to stop. Its transaction is committed as a
    /// whole or not at all.
    case drainTimedOut
}

extension ProjectionError: RemediableError {
    public var remedy: Remedy {
        switch self {
        case .unusable, .configuration: .changeSetup
        case .kafka(let cause): cause.remedy
        case .drainTimedOut: .startAgain
        }
    }
}

extension ProjectionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unusable(let error): "the database refuses the projection's work: \(error)"
        case .configuration(let problems): "the projection's configuration: \(problems.joined(separator: "; "))"
        case .kafka(let error): "the Kafka client cannot continue: \(error)"
        case .drainTimedOut: "the current work did not end within the drain timeout"
        }
    }
}
