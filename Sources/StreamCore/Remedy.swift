/// What helps a program whose work ended with an error.
public enum Remedy: Hashable, Sendable {
    /// Somebody must change the configuration, the schema or a permission.
    case changeSetup
    /// Starting it again.
    case startAgain
}

/// An error of a feature that says by itself what helps.
public protocol RemediableError: Error {
    var remedy: Remedy { get }
}
