internal import Blocking
internal import Glibc
internal import Synchronization

/// The shell that starts the server, waits for it, and stops it on request or when this process has ended.
final class Supervisor: Sendable {
    /// `$1` is the log file and `$2` the number of folders to delete at the end. These folders and the server's command
    /// follow.
    ///
    /// The subshell waits for one line, or for the end of the pipe that only the starting process holds. The pipe ends
    /// when that process has ended; only then the shell deletes the folders. The shell ignores SIGPIPE after the start
    /// of the server, because the process that would read the process id may have been killed in the meantime.
    static let script = """
        exec 3<&0 </dev/null
        log=$1 doomed=$2; shift 2
        exec 2>>"$log"
        folders=
        while [ "$doomed" -gt 0 ]; do folders="$folders '$1'"; shift; doomed=$((doomed - 1)); done
        "$@" 3<&- >&2 &
        server=$!
        trap '' PIPE
        echo "$server"
        exec >/dev/null
        (
            told=0
            read -r mode <&3 || told=9
            case $mode in
                fast) kill -INT "$server" ;;
                *) kill -QUIT "$server" ;;
            esac
            exit "$told"
        ) &
        reader=$!
        exec 3<&-
        wait "$server"
        status=$?
        kill "$reader" 2>/dev/null
        wait "$reader"
        [ "$?" -ne 9 ] || [ -z "$folders" ] || eval "rm -rf $folders"
        exit "$status"
        """

    /// The server's process id, as text.
    let serverProcessID: Substring
    private let process: ChildProcess
    /// The write end of the pipe. It closes when this process ends.
    private let commands: Int32
    private let isOver = Mutex(false)

    init(command: [String], logFile: String, doomedFolders: [String]) throws(SystemError) {
        let input = try SocketPair()
        let output: SocketPair
        do throws(SystemError) {
            output = try SocketPair()
        } catch {
            close(input.childs)
            close(input.ours)
            throw error
        }
        defer {
            close(input.childs)
            close(output.ours)
        }
        let arguments = ["/bin/sh", "-c", Self.script, "sh", logFile, String(doomedFolders.count)]
        do throws(SystemError) {
            process = try ChildProcess(
                arguments + doomedFolders + command, input: input.childs, output: output.childs)
            close(output.childs)
        } catch {
            close(output.childs)
            close(input.ours)
            throw error
        }
        commands = input.ours
        serverProcessID = Substring(output.readLine())
    }

    deinit {
        close(commands)
        if !hasEnded { process.reap() }
    }

    /// Whether the server has ended.
    var hasEnded: Bool {
        isOver.withLock { isOver in
            isOver = isOver || process.hasEnded()
            return isOver
        }
    }

    func end(_ mode: PostgresServer.StopMode) async {
        let line = Array("\(mode.rawValue)\n".utf8)
        if hasEnded { return }
        // SAFETY: the array lives through the call. If the server ends at this moment, nobody reads the pipe. It is a
        // socket pair, so `send` then returns EPIPE instead of raising SIGPIPE.
        _ = unsafe send(commands, line, line.count, Int32(MSG_NOSIGNAL))
        _ = await process.waitForEnd()
        isOver.withLock { $0 = true }
    }
}
