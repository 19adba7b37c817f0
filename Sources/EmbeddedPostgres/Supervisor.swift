internal import Glibc
internal import Synchronization

/// The shell that starts the server, waits for it, and stops it when we say so or are no more.
final class Supervisor: Sendable {
    /// `$1` is the log file, `$2` how many folders to delete at the end, then these, then the server's command.
    ///
    /// The subshell waits for one line or for the end of the pipe that only the starting process holds; only in the
    /// latter case, when that process is no more, are the folders deleted here.
    private static let script = """
        exec 3<&0 </dev/null
        log=$1 doomed=$2; shift 2
        exec 2>>"$log"
        folders=
        while [ "$doomed" -gt 0 ]; do folders="$folders '$1'"; shift; doomed=$((doomed - 1)); done
        "$@" 3<&- >&2 &
        server=$!
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

    /// The server's process number, as text.
    let serverProcessID: Substring
    private let process: ChildProcess
    /// The end of the pipe that is written to; it closes by itself with our process.
    private let commands: Int32
    private let isOver = Mutex(false)

    init(command: [String], logFile: String, doomedFolders: [String]) throws(PostgresServerError) {
        let input = try Self.makeSocketPair()
        let output: (reading: Int32, writing: Int32)
        do {
            output = try Self.makeSocketPair()
        } catch {
            close(input.reading)
            close(input.writing)
            throw error
        }
        defer {
            close(input.reading)
            close(output.reading)
        }
        let arguments = ["/bin/sh", "-c", Self.script, "sh", logFile, String(doomedFolders.count)]
        do {
            process = try ChildProcess(
                arguments + doomedFolders + command, input: input.reading, output: output.writing)
            close(output.writing)
        } catch {
            close(output.writing)
            close(input.writing)
            throw error
        }
        commands = input.writing
        serverProcessID = Self.readLine(output.reading)
    }

    deinit {
        close(commands)
    }

    /// Whether the server has ended by itself.
    var hasEnded: Bool {
        isOver.withLock { isOver in
            isOver = isOver || process.hasEnded()
            return isOver
        }
    }

    func end(_ mode: PostgresServer.StopMode) async {
        let line = Array("\(mode.rawValue)\n".utf8)
        if hasEnded { return }
        // SAFETY: the array lives through the call. Should the server end just now, nobody reads the pipe: `send` on
        // a socket pair, which the "pipe" is, then answers EPIPE instead of raising SIGPIPE.
        _ = unsafe send(commands, line, line.count, Int32(MSG_NOSIGNAL))
        _ = await process.waitForEnd()
        isOver.withLock { $0 = true }
    }

    private static func makeSocketPair() throws(PostgresServerError) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw PostgresServerError(.failed, "cannot make a pair of sockets: errno \(errno)")
        }
        return (ends[0], ends[1])
    }

    /// The shell writes the line at once.
    private static func readLine(_ descriptor: Int32) -> Substring {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe read(descriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { bytes.append(byte) }
        return Substring(decoding: bytes, as: UTF8.self)
    }
}
