internal import StreamCore

/// The key of an advisory lock. Sessions that use the same key compete for the same lock.
public struct AdvisoryLockKey: Sendable, Hashable {
    /// The lock's number. All advisory locks of a database share one range of numbers.
    public let number: Int64

    /// Hashes `name` to the number (64-bit FNV-1a).
    ///
    /// - Parameter name: a name that identifies the lock in the whole database. Include the schema in it.
    public init(_ name: String) {
        number = Int64(bitPattern: FNV1a.hash(name))
    }
}

extension PostgresConnection {
    /// Takes the lock for this session if no other session holds it. Does not wait.
    ///
    /// The server releases the lock when the session ends. A caller that relies on the lock must check that the session
    /// is alive (``isAlive()``, ``ping(timeoutMs:)``) and must not depend on the lock for correctness. The lock does
    /// not work behind a pooler that shares sessions between clients.
    ///
    /// - Returns: whether this session now holds the lock.
    public func tryAdvisoryLock(_ key: AdvisoryLockKey) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(key.number)
        return try await execute("SELECT pg_try_advisory_lock($1)", parameters).bool(0, 0)
    }

    /// Releases the lock.
    ///
    /// - Returns: whether this session held the lock.
    @discardableResult
    public func advisoryUnlock(_ key: AdvisoryLockKey) async throws(PostgresError) -> Bool {
        var parameters = Parameters()
        parameters.append(key.number)
        return try await execute("SELECT pg_advisory_unlock($1)", parameters).bool(0, 0)
    }

    /// Checks with an empty statement that the server answers.
    ///
    /// - Parameter timeoutMs: the maximum time to wait for the answer, in milliseconds.
    /// - Throws: ``PostgresError`` if the server did not answer in time or the connection is lost.
    public func ping(timeoutMs: Int) async throws(PostgresError) {
        try await execute("SELECT", timeoutMs: timeoutMs)
    }
}
