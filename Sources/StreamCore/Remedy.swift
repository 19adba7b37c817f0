/// The action that helps after a program ended with an error.
public enum Remedy: Hashable, Sendable {
    /// An operator must change the configuration, the schema or a right.
    case changeSetup
    /// Restart the program.
    case startAgain
}

/// An error of a feature that names its own remedy.
public protocol RemediableError: Error {
    var remedy: Remedy { get }
}
