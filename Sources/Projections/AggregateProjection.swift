public import Postgres

/// A projection that can remove one aggregate from its read model, so that it can be rebuilt alone from its events.
public protocol AggregateProjection: Projection {
    /// The id of the aggregate whose rows an event changes, for example an order id.
    func subject(of event: Event) -> String

    /// Removes an aggregate from the read model and from everything that is counted from it, under its row's lock.
    ///
    /// Applying its events again must then have the same result as applying them once. Another owner may afterwards
    /// apply some of them again.
    func forget(_ subject: String, in transaction: PostgresTransaction) async throws
}
