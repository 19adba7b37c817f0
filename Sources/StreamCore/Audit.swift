/// Who changes something for an operator, and why: stands in the history of what is changed.
public struct Audit: Sendable, Hashable {
    public let actor: String
    public let reason: String

    public init(actor: String, reason: String) {
        self.actor = actor
        self.reason = reason
    }
}
