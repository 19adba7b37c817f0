public import Postgres

/// Something that rules ask for and that is no part of the aggregate: whether a customer is known, how much credit is
/// left. Read in the command's transaction, unless it is a ``CachedFact`` that is in memory.
public protocol Fact: SendableMetatype {
    associatedtype Value: Sendable

    /// The value of a key that the statements answer nothing for.
    static var absent: Value { get }

    /// What reads the values. A fact that other transactions may change between the decision and COMMIT, so that a rule
    /// would be broken, must be locked by the first statement, in the order of the keys.
    ///
    /// - Parameter keys: ascending, each once.
    static func reads(_ keys: [String]) -> [(Statement, Parameters)]

    /// The values by their keys, from the results in their order.
    static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Value]
}
