/// The operator who changes something, and the reason. The history of the changed object contains both.
public struct Audit: Sendable, Hashable {
    public let actor: String
    public let reason: String

    public init(actor: String, reason: String) {
        self.actor = actor
        self.reason = reason
    }
}
