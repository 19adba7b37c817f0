public import Kafka
public import StreamCore

/// The reason why a projection's run ended itself. It waits for all other failures to end, or stops one partition.
public enum ProjectionError: Error, Sendable {
    /// The database answers, and refuses everything, several times in a row: the schema is missing or another one, or
    /// a permission is. Starting again does not help before somebody changed that.
    case unusable(any Error)
    /// The configuration is invalid; contains the problems.
    case configuration([String])
    /// The Kafka client is in a state that it cannot leave.
    case kafka(KafkaError)
    /// After the request to stop, the work under way did not end within the time limit. What it did is either
    /// committed as a whole or not at all.
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
