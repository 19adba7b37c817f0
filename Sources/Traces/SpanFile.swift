internal import Blocking
internal import Glibc

/// Writes spans to a file in JSON lines, each an `ExportTraceServiceRequest`, as the receiver `otlpjsonfile` of the
/// OpenTelemetry Collector reads them.
///
/// When the file reaches its maximum size, it is renamed to `NAME.jsonl.1`, which replaces the previous one, and a new
/// file begins. The writer of a file holds its lock. A second process of the same name therefore writes `NAME-2.jsonl`.
///
/// The actor has a thread of its own, because a disk may block it.
public actor SpanFile: SpanExporter {
    /// The reason why a line was not written.
    public struct WriteError: Error, Equatable, CustomStringConvertible {
        public let description: String

        init(_ action: String, _ path: String, errno code: Int32) {
            description = "cannot \(action) \(path): \(unsafe String(cString: strerror(code)))"
        }

        init(_ description: String) {
            self.description = description
        }
    }

    public nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private let thread = ThreadExecutor(name: "spans")
    private let encoder: OTLPTraces
    private var lines: LineFile

    /// - Parameters:
    ///   - directory: the directory of the file. It must exist.
    ///   - name: the name of the file without its extension.
    ///   - maxBytes: maximum size of the file. The previous file may have the same size.
    public init(directory: String, name: String, maxBytes: Int, encoder: OTLPTraces) {
        self.encoder = encoder
        lines = LineFile(directory: directory, name: name, maxBytes: maxBytes)
    }

    public func export(_ spans: [FinishedSpan]) throws -> SpanRejection? {
        try lines.append(encoder.encode(spans) + [UInt8(ascii: "\n")])
        return nil
    }

    /// Leaves the file to other processes. A later export opens it again.
    public func close() {
        lines.leave()
    }
}

/// The file itself. It is opened before the first line, and again if it was moved or removed.
private struct LineFile: ~Copyable {
    /// Maximum number of processes of one name that write to the directory.
    private static let maxWriters = 16

    private let directory: String
    private let name: String
    private let maxBytes: Int
    private var path = ""
    private var descriptor: Int32 = -1
    private var size = 0

    init(directory: String, name: String, maxBytes: Int) {
        self.directory = directory
        self.name = name
        self.maxBytes = maxBytes
    }

    deinit {
        Self.release(descriptor)
    }

    /// Closes the file, if it is open.
    mutating func leave() {
        Self.release(descriptor)
        descriptor = -1
    }

    private static func release(_ descriptor: Int32) {
        guard descriptor >= 0 else { return }
        // A child that was just forked still has the file open, and would keep its lock.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Writes the whole line, or nothing of it.
    mutating func append(_ line: [UInt8]) throws {
        if descriptor >= 0, !isStillThere() { leave() }
        if descriptor < 0 { try openFree() }
        if size > 0, size + line.count > maxBytes { try rotate() }
        var written = 0
        while written < line.count {
            let count = unsafe line.withUnsafeBytes { bytes in
                // SAFETY: the rest of the array, which lives during the call.
                unsafe write(descriptor, bytes.baseAddress?.advanced(by: written), line.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                // A part of a line would make the next line unreadable.
                ftruncate(descriptor, off_t(size))
                leave()
                throw SpanFile.WriteError("write to", path, errno: code)
            }
            written += count
        }
        size += line.count
    }

    /// Whether the path still names the open file.
    private func isStillThere() -> Bool {
        var named = stat()
        var open = stat()
        // SAFETY: both calls fill the structure that they are given.
        guard unsafe stat(path, &named) == 0, unsafe fstat(descriptor, &open) == 0 else { return false }
        return named.st_ino == open.st_ino && named.st_dev == open.st_dev
    }

    /// Opens the first file that no other process has locked.
    private mutating func openFree() throws {
        for number in 1...Self.maxWriters {
            path = "\(directory)/\(name)\(number == 1 ? "" : "-\(number)").jsonl"
            if try openAndLock() { return }
        }
        throw SpanFile.WriteError("\(Self.maxWriters) other processes write the files \(name) in \(directory)")
    }

    /// - Returns: false when another process has the file.
    private mutating func openAndLock() throws -> Bool {
        let opened = unsafe open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard opened >= 0 else { throw SpanFile.WriteError("open", path, errno: errno) }
        guard flock(opened, LOCK_EX | LOCK_NB) == 0 else {
            close(opened)
            return false
        }
        var status = stat()
        // SAFETY: fills the structure.
        guard unsafe fstat(opened, &status) == 0 else {
            let code = errno
            close(opened)
            throw SpanFile.WriteError("access", path, errno: code)
        }
        descriptor = opened
        size = Int(status.st_size)
        try endBrokenLine()
        return true
    }

    /// Ends the last line, if a process was killed while it wrote it.
    private mutating func endBrokenLine() throws {
        guard size > 0 else { return }
        var last: UInt8 = 0
        // SAFETY: one byte is read into one byte, and one is written from it.
        guard unsafe pread(descriptor, &last, 1, off_t(size - 1)) == 1, last != UInt8(ascii: "\n") else { return }
        last = UInt8(ascii: "\n")
        guard unsafe write(descriptor, &last, 1) == 1 else {
            let code = errno
            leave()
            throw SpanFile.WriteError("write to", path, errno: code)
        }
        size += 1
    }

    private mutating func rotate() throws {
        let old = path + ".1"
        // SAFETY: the kernel copies both paths.
        guard unsafe rename(path, old) == 0 else { throw SpanFile.WriteError("rename", path, errno: errno) }
        leave()
        try openFree()
    }
}
