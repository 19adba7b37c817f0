internal import Foundation

/// What the environment says of the servers to test against.
enum Environment {
    /// A PostgreSQL server to use instead of a private one; its user must be allowed to create schemas.
    static var databaseURL: String? { ProcessInfo.processInfo.environment["DATABASE_URL"] }
}
