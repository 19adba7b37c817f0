/// The rules of one domain, by names that stay: clients decide by them, metrics and logs name them.
///
/// The raw values are lower-case words joined by hyphens, `order-not-confirmed`: they become the last part of the
/// `type` of a problem over HTTP.
public protocol Rule: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    /// What kind of refusal it is.
    var kind: RuleKind { get }
    /// The rule in one sentence, the same each time.
    var summary: String { get }
}

/// What a client can do about a refusal.
public enum RuleKind: Hashable, Sendable {
    /// What the command is about does not exist.
    case notFound
    /// The command is well-formed, and the state does not allow it now.
    case conflict
    /// The command itself breaks the rule, whatever the state is.
    case invalid
}

/// A command that a rule refuses: nothing was changed.
public struct Rejection<Rules: Rule>: Error, Hashable, Sendable {
    public let rule: Rules
    /// What is wrong this time, for the client: may name what the client has sent.
    public let detail: String

    /// - Parameter detail: the rule's own sentence if nothing is said.
    public init(_ rule: Rules, _ detail: String? = nil) {
        self.rule = rule
        self.detail = detail ?? rule.summary
    }
}

extension Rejection: CustomStringConvertible {
    /// The rule's name, without data.
    public var description: String { "refused by the rule \(rule.rawValue)" }
}
