/// What a failure means for the work that met it. Each client classifies its own errors into these three, in one
/// place; everything above decides by the kind alone.
public enum FailureKind: Hashable, Sendable {
    /// It goes away by itself (connection, serialization, deadlock, broker): back off, keep order, try the same again.
    case transient
    /// It stays with this one event or row, whatever is tried: set it apart and go on with the others.
    case permanent
    /// Nothing can work until somebody changes something (bad deployment, schema missing, wrong password).
    case everything
}
