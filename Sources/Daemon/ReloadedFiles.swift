internal import Synchronization

/// The files that a daemon's work reads again at SIGHUP, besides the settings.
public final class ReloadedFiles: Sendable {
    /// Replaces the old content by the new one.
    public typealias Commit = @Sendable () -> Void
    /// Reads and checks files without changing anything.
    public typealias Preparation = @Sendable () async throws -> Commit

    private let preparations = Mutex<[Preparation]>([])

    init() {}

    /// Registers files to be read again at each SIGHUP, until the work ends.
    ///
    /// - Parameter prepare: reads and checks the files. If it throws, everything stays as it was.
    public func onReload(_ prepare: @escaping Preparation) {
        preparations.withLock { $0.append(prepare) }
    }

    /// Removes all registrations, because the work starts again.
    func forget() {
        preparations.withLock { $0 = [] }
    }

    func prepare() async throws -> [Commit] {
        var commits: [Commit] = []
        for prepare in preparations.withLock({ $0 }) { commits.append(try await prepare()) }
        return commits
    }
}
