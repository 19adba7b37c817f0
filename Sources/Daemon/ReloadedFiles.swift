internal import Synchronization

/// What a daemon's work reads again at SIGHUP beside the settings: files.
public final class ReloadedFiles: Sendable {
    /// Puts what was read in the place of what was there.
    public typealias Commit = @Sendable () -> Void
    /// Reads and checks, and changes nothing yet.
    public typealias Preparation = @Sendable () async throws -> Commit

    private let preparations = Mutex<[Preparation]>([])

    init() {}

    /// Has files read again at each SIGHUP, as long as the work goes on.
    ///
    /// - Parameter prepare: reads and checks them; what it throws keeps everything as it was.
    public func onReload(_ prepare: @escaping Preparation) {
        preparations.withLock { $0.append(prepare) }
    }

    /// The work begins anew.
    func forget() {
        preparations.withLock { $0 = [] }
    }

    func prepare() async throws -> [Commit] {
        var commits: [Commit] = []
        for prepare in preparations.withLock({ $0 }) { commits.append(try await prepare()) }
        return commits
    }
}
