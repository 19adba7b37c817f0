/// The kind of a failure, which determines its consequence. Each client assigns its errors to one of these three kinds
/// in one place. All other code decides by the kind alone.
public enum FailureKind: Hashable, Sendable {
    /// The failure is temporary (connection, serialization, deadlock, broker): wait, keep the order, try again.
    case transient
    /// The failure belongs to this event or row and is permanent: set it aside and continue with the others.
    case permanent
    /// Nothing can work until an operator changes the setup (bad deployment, missing schema, wrong password).
    case everything
}
