public import Events
import Foundation
public import StreamCore
import Testing

/// A second, independent implementation of the rules of one kind of aggregate, and random histories to compare both.
public protocol HistoryModel {
    associatedtype D: Decider
    associatedtype Step

    init()

    /// A random step that is often possible and sometimes not.
    static func step(isFirst: Bool, using random: inout SplitMix64) -> Step

    /// The command and the facts that the step is for the decider.
    ///
    /// - Parameter events: the previous events, from which the facts are derived.
    static func command(_ step: Step, after events: [Event<D.Payload>]) -> (D.Command, D.Facts)

    /// Carries out the step in the model.
    ///
    /// - Returns: the name of the rule that refuses it; nil if it is carried out.
    mutating func play(_ step: Step) -> String?

    /// Whether the decider's state agrees with the model.
    func isLike(_ state: D.State?) -> Bool
}

/// Plays random histories of commands against a decider and a model of its rules.
public enum Histories<Model: HistoryModel> {
    private typealias D = Model.D

    /// Plays 10,000 histories. Records the smallest history that fails, and the seed. The seed is the environment's
    /// SEED or random. After each command the answer and the state are compared. At the end of a history its events are
    /// written and read back, and must produce the same state.
    ///
    /// - Parameter rules: each of them must refuse more than 50 commands, and more than 50 commands must be carried
    ///   out.
    public static func check(_ name: String, reaching rules: [String], count: Int = 10_000) {
        let seed = ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) } ?? .random(in: 0...999_999)
        print("histories of \(name): SEED=\(seed)")
        var random = SplitMix64(seed: seed)
        var counts: [String: Int] = [:]
        for number in 0..<count {
            let steps = (0..<Int.random(in: 2..<30, using: &random)).map { place in
                Model.step(isFirst: place == 0, using: &random)
            }
            guard play(steps, &counts) != nil else { continue }
            let smallest = shrink(steps)
            var ignored: [String: Int] = [:]
            let failure = play(smallest, &ignored) ?? "it does not fail again"
            Issue.record("SEED=\(seed), history \(number): \(failure), after \(smallest)")
            return
        }
        for rule in rules + ["done"] {
            #expect(counts[rule, default: 0] > 50, "SEED=\(seed), \(rule): \(counts[rule, default: 0])")
        }
    }

    /// - Returns: the difference; nil if there is none.
    private static func play(_ steps: [Model.Step], _ counts: inout [String: Int]) -> String? {
        var model = Model()
        var state: D.State?
        var events: [Event<D.Payload>] = []
        for step in steps {
            let expected = model.play(step)
            let (command, facts) = Model.command(step, after: events)
            var answer: String?
            do throws(Rejection<D.Rules>) {
                for payload in try D.decide(command, state, facts) {
                    let sequence = Int64(events.count + 1)
                    let event = Event(
                        payload, of: "a", sequence: sequence, at: Timestamp(microseconds: sequence),
                        eventID: EventID(high: 0, low: UInt64(sequence)))
                    events.append(event)
                    state = D.evolve(state, event)
                }
            } catch { answer = error.rule.rawValue }
            counts[answer ?? "done", default: 0] += 1
            if answer != expected { return "\(answer ?? "done") instead of \(expected ?? "done")" }
            if !model.isLike(state) { return "the state is \(state.map { "\($0)" } ?? "none")" }
        }
        return replayed(events) == state ? nil : "the events make another state"
    }

    private static func replayed(_ events: [Event<D.Payload>]) -> D.State? {
        var state: D.State?
        for event in events {
            let bytes = EventEncoder.envelope(event)
            guard case .event(let decoded) = try? EventDecoder<D.Payload>.decode(bytes.span) else { return nil }
            state = D.evolve(state, decoded)
        }
        return state
    }

    /// Removes steps as long as the history still fails without them.
    private static func shrink(_ steps: [Model.Step]) -> [Model.Step] {
        var smallest = steps
        var place = 0
        var ignored: [String: Int] = [:]
        while place < smallest.count {
            var fewer = smallest
            fewer.remove(at: place)
            if play(fewer, &ignored) != nil {
                smallest = fewer
                place = 0
            } else {
                place += 1
            }
        }
        return smallest
    }
}
