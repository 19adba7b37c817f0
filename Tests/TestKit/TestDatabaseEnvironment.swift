internal import Foundation

/// The settings for test servers in the environment.
enum Environment {
    /// A PostgreSQL server to use instead of a private one. Its user must have the right to create schemas.
    static var databaseURL: String? { ProcessInfo.processInfo.environment["DATABASE_URL"] }
}
