internal import Blocking
internal import Glibc

/// A child process in a session of its own, so that a terminal's Ctrl-C reaches us and not it.
struct ChildProcess: Sendable {
    let id: pid_t

    /// `POSIX_SPAWN_SETSID` of glibc's `spawn.h`, which its Swift module does not export.
    private static let newSession: Int16 = 0x80

    /// - Parameters:
    ///   - arguments: the program's path first.
    ///   - input: a descriptor for its standard input; nil for none.
    ///   - output: a descriptor for its standard output; nil for none.
    init(_ arguments: [String], input: Int32? = nil, output: Int32? = nil) throws(PostgresServerError) {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // SAFETY: both are initialized here and destroyed before they go out of scope; posix_spawn copies all.
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        // The thread that starts it may block signals, Dispatch's do; the child must not.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe posix_spawnattr_setflags(
            &attributes, Self.newSession | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        if let input {
            unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        if let output {
            unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        } else {
            unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        }
        // Nothing else is for it: a socket that it had as well would stay open when we close ours.
        unsafe actions.addCloseOfOthers()
        let copies = unsafe arguments.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        var id: pid_t = 0
        let failure = unsafe posix_spawn(&id, arguments[0], &actions, &attributes, copies + [nil], environ)
        guard failure == 0 else {
            throw PostgresServerError(
                .failed, "cannot start \(arguments[0]): \(unsafe String(cString: strerror(failure)))")
        }
        self.id = id
    }

    /// Waits for the end; the exit status, or 128 + the signal. Blocks a thread of its own and nobody else's.
    func waitForEnd() async -> Int32 {
        await onOwnThread("wait-for-child") { waitForEndBlocking() }
    }

    /// Whether it has ended; the first call that says so is the last that may be made.
    func hasEnded() -> Bool {
        var status: Int32 = 0
        return unsafe waitpid(id, &status, WNOHANG) == id
    }

    private func waitForEndBlocking() -> Int32 {
        var status: Int32 = 0
        while unsafe waitpid(id, &status, 0) < 0 {
            if errno != EINTR { return -1 }
        }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
