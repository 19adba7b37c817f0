internal import Dispatch
internal import Glibc
internal import Synchronization

/// A child process that cannot outlive us.
///
/// A shell starts it and reads a socket whose other end only this object holds. When that end closes, because we say so
/// or because this process is no more, however it ended, the shell sends the child SIGTERM, and SIGKILL if it still
/// runs after a while. Nothing is ever found or ended by its name.
public final class SupervisedProcess: Sendable {
    /// How a process ended.
    public enum End: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)
    }

    /// `$1` is the log file, `$2` the seconds between SIGTERM and SIGKILL; the child's command follows. The shell writes
    /// the child's process number to the socket first.
    private static let script = """
        exec 3<&0 </dev/null
        log=$1 patience=$2; shift 2
        "$@" 3<&- >>"$log" 2>&1 &
        child=$!
        exec 2>/dev/null
        echo "$child" >&3
        (
            read -r line <&3
            kill -TERM "$child" 2>/dev/null || exit 0
            while [ "$patience" -gt 0 ]; do
                sleep 1
                kill -0 "$child" 2>/dev/null || exit 0
                patience=$((patience - 1))
            done
            kill -KILL "$child" 2>/dev/null
        ) &
        reader=$!
        exec 3<&-
        wait "$child"
        status=$?
        kill "$reader" 2>/dev/null
        exit "$status"
        """
    /// `POSIX_SPAWN_SETSID` of glibc's `spawn.h`, which its Swift module does not export: a session of its own, so
    /// that a terminal's Ctrl-C reaches us and not the child.
    private static let newSession: Int16 = 0x80

    /// The child's own process number.
    public let processID: Int32
    private let shell: pid_t
    private let leash: Mutex<Int32?>

    /// Starts it.
    ///
    /// - Parameters:
    ///   - command: the program's path, then its arguments.
    ///   - logFile: where its output is appended.
    ///   - patienceSeconds: from SIGTERM to SIGKILL.
    public init(_ command: [String], logFile: String, patienceSeconds: Int) throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        // SAFETY: the call fills both places of the array and keeps nothing of it.
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw SystemError("cannot make a pair of sockets", errno)
        }
        let arguments = ["/bin/sh", "-c", Self.script, "sh", logFile, String(patienceSeconds)] + command
        do throws(SystemError) {
            shell = try Self.spawn(arguments, input: ends[0])
        } catch {
            close(ends[0])
            close(ends[1])
            throw error
        }
        close(ends[0])
        // Without a number the shell could not start: ``waitForEnd()`` tells.
        processID = Self.readNumber(ends[1]) ?? 0
        leash = Mutex(ends[1])
    }

    deinit {
        stop()
    }

    /// Asks for the end; ``waitForEnd()`` says when and how. Does nothing the second time.
    public func stop() {
        leash.withLock { descriptor in
            if let open = descriptor { close(open) }
            descriptor = nil
        }
    }

    /// Sends the child a signal. Call it only before ``waitForEnd()`` has returned: its number may be another's later.
    public func signal(_ number: Int32) {
        if processID > 0 { kill(processID, number) }
    }

    /// Whether the child has not ended yet. Call it only before ``waitForEnd()`` has returned.
    public var isRunning: Bool { processID > 0 && kill(processID, 0) == 0 }

    /// Waits, on a thread of Dispatch's, until the child has ended. May be called once.
    public func waitForEnd() async -> End {
        let shell = shell
        return await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var status: Int32 = 0
                // SAFETY: the call fills `status`; the child is ours and waited for once.
                while unsafe waitpid(shell, &status, 0) < 0, errno == EINTR {}
                continuation.resume(returning: Self.end(fromStatus: status))
            }
        }
    }

    /// The shell's own end says the child's: 128 + the number of the signal that ended it.
    private static func end(fromStatus status: Int32) -> End {
        let signal = status & 0x7F
        if signal != 0 { return .signalled(signal) }
        let code = (status >> 8) & 0xFF
        return code > 128 && code < 160 ? .signalled(code - 128) : .exited(code)
    }

    /// The line that the shell writes at once.
    private static func readNumber(_ descriptor: Int32) -> Int32? {
        var digits: [UInt8] = []
        var byte: UInt8 = 0
        // SAFETY: the call writes at most the one byte it is given.
        while unsafe read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { digits.append(byte) }
        return Int32(String(decoding: digits, as: UTF8.self))
    }

    private static func spawn(_ arguments: [String], input: Int32) throws(SystemError) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        // SAFETY: both are initialized here and destroyed before they go out of scope; posix_spawn copies all, also
        // the strings, which are freed here.
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        // The threads of Swift's and Dispatch's pools block signals; a child must not inherit that.
        var noSignals = sigset_t()
        unsafe sigemptyset(&noSignals)
        unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
        unsafe posix_spawnattr_setflags(&attributes, Self.newSession | Int16(POSIX_SPAWN_SETSIGMASK))
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        unsafe actions.addCloseOfOthers()
        let copies = unsafe arguments.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        var id: pid_t = 0
        let failure = unsafe posix_spawn(&id, arguments[0], &actions, &attributes, copies + [nil], environ)
        guard failure == 0 else { throw SystemError("cannot start \(arguments[0])", failure) }
        return id
    }
}

extension SupervisedProcess.End: CustomStringConvertible {
    public var description: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .signalled(let number): "was ended by signal \(number)"
        }
    }
}
