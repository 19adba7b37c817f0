import Commands
import Events
import OrderProcess
import Orders
import ProcessManagers
import StreamCore

/// A policy that answers every refusal with the same step.
struct EndlessPolicy: ProcessPolicy {
    typealias Payload = OrderEventPayload
    typealias State = OrderProcessState
    typealias Step = OrderProcessStep

    let name = "endless"
    let topics: [String] = []
    let openStages: [String] = []

    func process(of event: OrderEvent) -> String? { event.identity.aggregateID }
    func begin(with event: OrderEvent) -> State? { State() }
    func handle(_ input: Input, _ state: inout State, at now: Timestamp) -> [Step] { [.release] }
    func command(for step: Step, of processID: String) -> any Command {
        OrderProcessPolicy(OrderProcessRules()).command(for: step, of: processID)
    }
}

enum OrderEventOf {
    static func confirmation(_ orderID: String) -> OrderEvent {
        OrderEvent(
            .orderConfirmed, of: orderID, sequence: 2, at: OrderWorld.policyStart, eventID: EventID(high: 1, low: 1))
    }

    static let refusal = Refusal(rule: "not-reserved", kind: .conflict, summary: "", detail: "")
}
