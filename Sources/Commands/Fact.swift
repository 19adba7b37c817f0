public import Postgres

/// A value that rules need and that is not part of the aggregate, for example a customer's remaining credit. It is read
/// in the command's transaction, unless it is a ``CachedFact`` in the cache.
public protocol Fact: SendableMetatype {
    associatedtype Value: Sendable

    /// The value of a key for which the statements return no row.
    static var absent: Value { get }

    /// The statements that read the values. If a change by another transaction between the decision and COMMIT could
    /// break a rule, the first statement must lock the fact, in the order of the keys.
    ///
    /// - Parameter keys: in ascending order, without duplicates.
    static func reads(_ keys: [String]) -> [(Statement, Parameters)]

    /// The values by key, from the results of the statements.
    static func values(_ results: ArraySlice<QueryResult>) throws -> [String: Value]
}
