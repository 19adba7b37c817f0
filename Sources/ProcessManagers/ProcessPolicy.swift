public import Commands
public import Events
public import StreamCore
public import WireJSON

/// The rules of one kind of process as a pure state machine. The input is what happened, the output is the next steps.
/// It reads no clock and does no I/O.
///
/// A step is a command. It is carried out in the transaction that handles its cause, and its answer is the next input.
/// The transaction ends when no step is left.
public protocol ProcessPolicy: Sendable {
    /// The payloads of the domain whose events the process reads.
    associatedtype Payload: EventPayload
    associatedtype State: ProcessState
    /// What the process can do next.
    associatedtype Step: Hashable, Sendable

    typealias Input = ProcessInput<Payload, Step>

    /// The name, for example `order-process`: constant, in lower case. It is part of the consumer group's name, and
    /// stored with each process.
    var name: String { get }
    /// The topics to read.
    var topics: [String] { get }
    /// All stages of a process that is not finished, which are labels of a metric.
    var openStages: [String] { get }

    /// The id of the process that an event is for, for example the order's; nil for none. It must be 1–255 bytes of
    /// UTF-8.
    func process(of event: Event<Payload>) -> String?

    /// The first state of a process that begins with this event; nil if no process begins with it. The event is then
    /// handled as the first input.
    func begin(with event: Event<Payload>) -> State?

    /// Handles what happened. The next event or deadline comes only after all steps are answered. Events of different
    /// aggregates come in any order, and an event may come again.
    ///
    /// - Parameter now: the time of the handling.
    /// - Returns: the next steps, in the order in which they are carried out.
    func handle(_ input: Input, _ state: inout State, at now: Timestamp) -> [Step]

    /// The command that carries out a step.
    func command(for step: Step, of processID: String) -> any Command
}

/// An input of a process.
public enum ProcessInput<Payload: EventPayload, Step: Hashable & Sendable>: Sendable {
    case event(Event<Payload>)
    /// The command of a step was carried out.
    case accepted(Step)
    /// A rule refused the command of a step, which changed nothing. The text is the rule's name.
    case refused(Step, rule: String)
    /// The time ``ProcessState/due`` has passed.
    case deadline
}

/// The state of a process. It is stored between two transactions.
public protocol ProcessState: Hashable, Sendable {
    /// The number of the format. Increase it if the encoding or the meaning of the state changes. Older formats must
    /// stay readable while such processes are stored, because a state cannot be computed again.
    static var format: Int32 { get }

    /// Reads a state that ``write(to:)`` of this or an older release has written.
    init(reading fields: inout FieldReader, format: Int32) throws(DecodeProblem)

    /// Writes the state as one JSON value.
    func write(to writer: inout JSONWriter)

    /// The stage of the process, for operators: a word of a small fixed set.
    var stage: String { get }
    /// The deadline of the current stage; nil if the stage has none or the process is finished.
    var due: Timestamp? { get }
    /// Whether nothing is left to do.
    var isFinished: Bool { get }
}
