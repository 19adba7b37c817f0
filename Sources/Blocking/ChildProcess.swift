internal import CLinux
internal import Glibc

/// A child process in its own session, so a Ctrl-C on the terminal does not reach it. It inherits only its standard
/// streams, and blocks no signal.
public struct ChildProcess: Sendable {
    /// The way in which a process ended.
    public enum End: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)

        init(status: Int32) {
            let signal = status & 0x7F
            self = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
        }
    }

    /// The number of the process.
    public let id: Int32

    /// `POSIX_SPAWN_SETSID` of glibc's `spawn.h`, which its Swift module does not export.
    private static let newSession: Int16 = 0x80

    /// Starts the process. It inherits standard error.
    ///
    /// - Parameters:
    ///   - arguments: the program's path first.
    ///   - input: a descriptor for its standard input; nil for none.
    ///   - output: a descriptor for its standard output; nil for none.
    public init(_ arguments: [String], input: Int32? = nil, output: Int32? = nil) throws(SystemError) {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // SAFETY: both are initialized here and destroyed before they go out of scope. posix_spawn copies everything,
        // including the strings, which are freed here.
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        // The threads of Swift's and Dispatch's pools block signals; a child must not inherit that.
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
        // Not every library opens its descriptors with close-on-exec. If the child inherited such a descriptor, closing
        // it here would have no effect: a port would stay in use, or a connection would stay open. The call fails only
        // without memory; then the child inherits more than it needs.
        _ = unsafe clinux_spawn_close_from(&actions, 3)
        let copies = unsafe arguments.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        var id: pid_t = 0
        let failure = unsafe posix_spawn(&id, arguments[0], &actions, &attributes, copies + [nil], environ)
        guard failure == 0 else { throw SystemError("cannot start \(arguments[0])", failure) }
        self.id = id
    }

    /// Waits for the end, on a new thread. Call it once, and not after ``hasEnded()`` returned true.
    public func waitForEnd() async -> End {
        await onOwnThread("wait-for-child") { waitBlocking() }
    }

    /// Waits for the end on a new thread and does not report it, so that the process does not stay a zombie. Call it
    /// instead of ``waitForEnd()``.
    public func reap() {
        startThread("reap-child") { _ = waitBlocking() }
    }

    private func waitBlocking() -> End {
        var status: Int32 = 0
        // SAFETY: the call fills `status`. The child belongs to this process and is waited for once.
        while unsafe waitpid(id, &status, 0) < 0, errno == EINTR {}
        return End(status: status)
    }

    /// Whether the process has ended. Do not call it again after it returned true.
    public func hasEnded() -> Bool {
        var status: Int32 = 0
        // SAFETY: the call fills `status`.
        return unsafe waitpid(id, &status, WNOHANG) == id
    }
}

/// Two connected sockets: one for this process and one for a child.
public struct SocketPair: Sendable {
    public let ours: Int32
    public let childs: Int32

    public init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // SAFETY: the call fills both elements of the array and keeps no pointer to it.
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw SystemError("cannot create a socket pair", errno)
        }
        (ours, childs) = (ends[1], ends[0])
    }

    /// Reads a line that the child writes, without its end. Blocks until the line is complete or the child closes its
    /// end.
    public func readLine() -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        // SAFETY: the call writes at most the one byte it is given.
        while unsafe read(ours, &byte, 1) == 1, byte != UInt8(ascii: "\n") { bytes.append(byte) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension ChildProcess.End: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signalled(let number): "was ended by signal \(number)"
        }
    }
}
