internal import Glibc
internal import Logging

/// The limit of open files of the process.
enum FileLimit {
    /// The number of open files that are not connections: those of the database, Kafka, logs and the listener.
    private static let reserve = 256

    /// Raises the soft limit as far as necessary and allowed.
    ///
    /// - Returns: the possible number of connections.
    static func raise(toHold connections: Int, logger: Logger) -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
        // SAFETY: both calls only use the value while they run.
        guard unsafe getrlimit(resource, &limit) == 0 else { return connections }
        let needed = rlim_t(connections + reserve)
        if limit.rlim_cur < needed {
            limit.rlim_cur = min(needed, limit.rlim_max)
            _ = unsafe setrlimit(resource, &limit)
            _ = unsafe getrlimit(resource, &limit)
        }
        guard limit.rlim_cur < needed else { return connections }
        let possible = max(Int(limit.rlim_cur) - reserve, 1)
        logger.warning(
            "fewer connections than configured: the process may not open more files",
            metadata: ["connections": "\(possible)", "configured": "\(connections)"])
        return possible
    }
}
