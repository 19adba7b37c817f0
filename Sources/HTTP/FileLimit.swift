internal import Glibc
internal import Logging

/// How many files the process may have open.
enum FileLimit {
    /// Files that are no connections: the database's, Kafka's, the logs, the listener.
    private static let reserve = 256

    /// Raises the soft limit as far as needed and allowed.
    ///
    /// - Returns: how many connections there can be.
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
