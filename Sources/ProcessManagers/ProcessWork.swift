internal import Commands
internal import Events
internal import StreamCore

/// A stored process.
struct StoredProcess<State: ProcessState>: Sendable {
    let id: String
    /// The tenant for which the commands are sent: that of the event with which the process began.
    let tenantID: String?
    let correlationID: String?
    let startedAt: Timestamp
    var state: State
    /// The number of steps in its history.
    var stepCount: Int64
}

/// A row of a process's history.
struct ProcessHistoryEntry: Hashable, Sendable {
    let processID: String
    let number: Int64
    let step: String
    let outcome: String
    let stage: String
}

/// The work of one transaction on processes, as a pure state machine. Inputs result in steps, and the answers to the
/// steps are further inputs, until no process has a step left.
struct ProcessWork<Policy: ProcessPolicy> {
    /// A step that is to be carried out.
    struct PendingStep {
        let process: StoredProcess<Policy.State>
        let step: Policy.Step
        let command: any Command
    }

    /// A process handles its inputs one after the other. It takes the next input after the steps of the last one are
    /// answered.
    private struct Entry {
        var process: StoredProcess<Policy.State>?
        let isNew: Bool
        var isChanged = false
        var inputs: [Policy.Input] = []
        var steps: [Policy.Step] = []
        /// The number of rounds of answers since the last input.
        var rounds = 0
    }

    /// The maximum number of rounds after one input. More rounds mean that the policy loops.
    static var maximumRounds: Int { 32 }

    private let policy: Policy
    private let now: Timestamp
    private var entries: [String: Entry] = [:]
    private(set) var history: [ProcessHistoryEntry] = []

    /// - Parameter stored: the existing processes that have inputs.
    init(_ policy: Policy, _ stored: [StoredProcess<Policy.State>], at now: Timestamp) {
        self.policy = policy
        self.now = now
        for process in stored { entries[process.id] = Entry(process: process, isNew: false) }
    }

    /// Adds an input for a process.
    mutating func add(_ input: Policy.Input, to id: String) {
        entries[id, default: Entry(process: nil, isNew: true)].inputs.append(input)
    }

    /// Takes inputs until steps must be carried out.
    ///
    /// - Returns: the steps, in the order of the processes' ids; empty if all is done.
    mutating func advance() -> [PendingStep] {
        var pending: [PendingStep] = []
        for id in entries.keys.sorted() {
            while entries[id]?.steps.isEmpty == true, entries[id]?.inputs.isEmpty == false { takeInput(of: id) }
            guard let entry = entries[id], let process = entry.process else { continue }
            for step in entry.steps {
                let command = policy.command(for: step, of: id)
                pending.append(PendingStep(process: process, step: step, command: command))
            }
        }
        return pending
    }

    private mutating func takeInput(of id: String) {
        guard var entry = entries[id] else { return }
        let input = entry.inputs.removeFirst()
        entry.rounds = 0
        if entry.process == nil, case .event(let event) = input, let state = policy.begin(with: event) {
            entry.process = StoredProcess(
                id: id, tenantID: event.metadata.tenantID, correlationID: event.correlationID, startedAt: now,
                state: state, stepCount: 0)
        }
        // An input without a process is ignored.
        if entry.process != nil {
            let name =
                switch input {
                case .event(let event): event.type.rawValue
                default: "deadline"
                }
            entry.steps = handle(input, name, "taken", &entry)
        }
        entries[id] = entry
    }

    /// Handles the answers to the steps of the last ``advance()``.
    ///
    /// - Throws: ``ProcessLoop`` if the policy exceeds ``maximumRounds``.
    mutating func answer(_ answered: [(step: PendingStep, verdict: CommandOutcome.Verdict)]) throws(ProcessLoop) {
        for (id, own) in Dictionary(grouping: answered, by: \.step.process.id) {
            guard var entry = entries[id] else { continue }
            entry.steps = []
            entry.rounds += 1
            if entry.rounds > Self.maximumRounds { throw ProcessLoop(process: policy.name) }
            for (pending, verdict) in own {
                let name = type(of: pending.command).name
                switch verdict {
                case .accepted: entry.steps += handle(.accepted(pending.step), name, "accepted", &entry)
                case .refused(let refusal):
                    entry.steps += handle(.refused(pending.step, rule: refusal.rule), name, refusal.rule, &entry)
                }
            }
            entries[id] = entry
        }
    }

    /// Lets the policy handle an input and records it in the history. An event that changes nothing is not recorded. A
    /// deadline is always recorded, because the stored one has passed and must be replaced.
    private mutating func handle(
        _ input: Policy.Input, _ name: String, _ outcome: String, _ entry: inout Entry
    ) -> [Policy.Step] {
        guard var process = entry.process else { return [] }
        let before = process.state
        let steps = policy.handle(input, &process.state, at: now)
        if process.stepCount > 0, process.state == before, steps.isEmpty, case .event = input { return [] }
        process.stepCount += 1
        history.append(
            ProcessHistoryEntry(
                processID: process.id, number: process.stepCount, step: name, outcome: outcome,
                stage: process.state.stage))
        entry.isChanged = true
        entry.process = process
        return steps
    }

    /// Whether a process has a deadline that has passed.
    func isDue(_ id: String) -> Bool {
        entries[id]?.process?.state.due.map { $0 <= now } ?? false
    }

    /// The processes that are new or changed, in the order of their ids.
    func changes(new isNew: Bool) -> [StoredProcess<Policy.State>] {
        entries.values.filter { $0.isChanged && $0.isNew == isNew }.compactMap(\.process).sorted { $0.id < $1.id }
    }
}

/// The policy does not terminate after one input: it returns steps again and again, or keeps a deadline that has
/// passed. The transaction is rolled back.
public struct ProcessLoop: Error, Hashable, Sendable, CustomStringConvertible {
    let process: String

    public var description: String { "the policy of \(process) does not terminate after one input" }
}
