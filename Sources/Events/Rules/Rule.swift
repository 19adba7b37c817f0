/// The rules of one domain, by names that never change. Clients, metrics and logs use the names.
///
/// The raw values are lower-case words joined by hyphens, for example `order-not-confirmed`. They become the last part
/// of the `type` of a problem over HTTP.
public protocol Rule: RawRepresentable<String>, CaseIterable, Hashable, Sendable {
    /// The kind of refusal.
    var kind: RuleKind { get }
    /// The rule in one constant sentence.
    var summary: String { get }
}

/// The kind of refusal, which tells a client what to do about it.
public enum RuleKind: Hashable, Sendable {
    /// The object of the command does not exist.
    case notFound
    /// The command is well-formed, but the current state does not allow it.
    case conflict
    /// The command breaks the rule in any state.
    case invalid
}

/// A rule refused a command. Nothing was changed.
public struct Rejection<Rules: Rule>: Error, Hashable, Sendable {
    public let rule: Rules
    /// What is wrong in this case, for the client. It may quote what the client sent.
    public let detail: String

    /// - Parameter detail: the detail; by default the rule's summary.
    public init(_ rule: Rules, _ detail: String? = nil) {
        self.rule = rule
        self.detail = detail ?? rule.summary
    }
}

extension Rejection: CustomStringConvertible {
    /// The rule's name, without data.
    public var description: String { "refused by the rule \(rule.rawValue)" }
}
