internal import Glibc
internal import Synchronization

/// A child process that cannot outlive this process.
///
/// A shell starts the child and reads a socket. Only this object holds the other end of the socket. When that end
/// closes, because the object closes it or because this process has ended in any way, the shell sends the child
/// SIGTERM. If the child still runs after some time, the shell sends SIGKILL. No process is found or ended by its name.
public final class SupervisedProcess: Sendable {
    /// The way in which a process ended.
    public typealias End = ChildProcess.End

    /// `$1` is the log file and `$2` the seconds between SIGTERM and SIGKILL; the child's command follows. The shell
    /// first writes the child's process id to the socket. It ignores SIGPIPE there: this process may have been killed
    /// meanwhile, and if SIGPIPE ended the shell, the child would keep running.
    static let script = """
        exec 3<&0 </dev/null
        log=$1 patience=$2; shift 2
        "$@" 3<&- >>"$log" 2>&1 &
        child=$!
        exec 2>/dev/null
        trap '' PIPE
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
    /// The process id of the child.
    public let processID: Int32
    private let shell: ChildProcess
    private let leash: Mutex<Int32?>
    private let isWaitedFor = Atomic(false)

    /// Starts the child.
    ///
    /// - Parameters:
    ///   - command: the program's path, then its arguments.
    ///   - logFile: the file to which its output is appended.
    ///   - patienceSeconds: the time from SIGTERM to SIGKILL, in seconds.
    public init(_ command: [String], logFile: String, patienceSeconds: Int) throws(SystemError) {
        let sockets = try SocketPair()
        let arguments = ["/bin/sh", "-c", Self.script, "sh", logFile, String(patienceSeconds)] + command
        do throws(SystemError) {
            shell = try ChildProcess(arguments, input: sockets.childs)
        } catch {
            close(sockets.childs)
            close(sockets.ours)
            throw error
        }
        close(sockets.childs)
        // Without a process id the shell could not start; ``waitForEnd()`` reports it.
        processID = Int32(sockets.readLine()) ?? 0
        leash = Mutex(sockets.ours)
    }

    deinit {
        stop()
        // Without a wait the child would stay a zombie as long as this process lives.
        if !isWaitedFor.load(ordering: .relaxed) { shell.reap() }
    }

    /// Requests the end of the child; ``waitForEnd()`` reports it. A second call has no effect.
    public func stop() {
        leash.withLock { descriptor in
            if let open = descriptor { close(open) }
            descriptor = nil
        }
    }

    /// Sends the child a signal. Call it only before ``waitForEnd()`` has returned, because another process may get the
    /// id later.
    public func signal(_ number: Int32) {
        if processID > 0 { kill(processID, number) }
    }

    /// Whether the child still runs. Call it only before ``waitForEnd()`` has returned.
    public var isRunning: Bool { processID > 0 && kill(processID, 0) == 0 }

    /// Waits until the child has ended. Call it once.
    public func waitForEnd() async -> End {
        isWaitedFor.store(true, ordering: .relaxed)
        // The shell's exit code contains the child's: 128 plus the number of the signal that ended it.
        return switch await shell.waitForEnd() {
        case .exited(let code) where code > 128 && code < 160: .signalled(code - 128)
        case let end: end
        }
    }
}
