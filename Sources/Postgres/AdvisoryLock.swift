internal import StreamCore

/// The number by which sessions mean the same lock, made of a name.
public struct AdvisoryLockKey: Sendable, Hashable {
    /// The number; one space for the whole database.
    public let number: Int64

    /// - Parameter name: all that tells this lock from others, the schema included. Hashed with FNV-1a of 64 bits.
    public init(_ name: String) {
        number = Int64(bitPattern: FNV1a.hash(name))
    }
}

extension PostgresConnection {
    /// Takes the lock for this session if it is free.
    ///
    /// The lock lasts as long as the session: who relies on it must look whether the session is alive
    /// (``isAlive()``, ``ping(timeoutMs:)``), and must not depend on it for correctness. Behind a pooler that shares
    /// sessions it protects nothing.
    public func tryAdvisoryLock(_ key: AdvisoryLockKey) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(key.number)
        return try await execute("SELECT pg_try_advisory_lock($1)", parameters).bool(0, 0)
    }

    /// Gives the lock back.
    ///
    /// - Returns: whether this session had it.
    @discardableResult
    public func advisoryUnlock(_ key: AdvisoryLockKey) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(key.number)
        return try await execute("SELECT pg_advisory_unlock($1)", parameters).bool(0, 0)
    }

    /// Asks the server for a sign of life.
    ///
    /// - Parameter timeoutMs: milliseconds until silence counts as death.
    public func ping(timeoutMs: Int) async throws(PostgresError) {
        try await execute("SELECT", timeoutMs: timeoutMs)
    }
}
