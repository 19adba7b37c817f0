internal import Glibc
internal import Synchronization

/// A child process that cannot outlive us.
///
/// A shell starts it and reads a socket whose other end only this object holds. When that end closes, because we say so
/// or because this process is no more, however it ended, the shell sends the child SIGTERM, and SIGKILL if it still
/// runs after a while. Nothing is ever found or ended by its name.
public final class SupervisedProcess: Sendable {
    /// How a process ended.
    public typealias End = ChildProcess.End

    /// `$1` is the log file, `$2` the seconds between SIGTERM and SIGKILL; the child's command follows. The shell
    /// writes the child's process number to the socket first. It ignores SIGPIPE there: this process may have been
    /// killed meanwhile, and a shell that dies of it would leave the child behind.
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
    /// The child's own process number.
    public let processID: Int32
    private let shell: ChildProcess
    private let leash: Mutex<Int32?>

    /// Starts it.
    ///
    /// - Parameters:
    ///   - command: the program's path, then its arguments.
    ///   - logFile: where its output is appended.
    ///   - patienceSeconds: from SIGTERM to SIGKILL.
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
        // Without a number the shell could not start: ``waitForEnd()`` tells.
        processID = Int32(sockets.readLine()) ?? 0
        leash = Mutex(sockets.ours)
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

    /// Waits until the child has ended. May be called once.
    public func waitForEnd() async -> End {
        // The shell's own end says the child's: 128 + the number of the signal that ended it.
        switch await shell.waitForEnd() {
        case .exited(let code) where code > 128 && code < 160: .signalled(code - 128)
        case let end: end
        }
    }
}
