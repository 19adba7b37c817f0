public import Postgres

/// A projection that can forget one aggregate of its read model, so that this one alone is made anew from its events.
public protocol AggregateProjection: Projection {
    /// The identity of the row, or rows, that an event changes: an order's.
    func subject(of event: Event) -> String

    /// Takes an aggregate out of the read model, and out of all that is counted from it, under its row's lock.
    ///
    /// Applying events again must be to apply them once: what another owner applies afterwards may have been among
    /// them.
    func forget(_ subject: String, in transaction: PostgresTransaction) async throws
}
