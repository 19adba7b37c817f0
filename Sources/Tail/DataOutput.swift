internal import Foundation

/// A file descriptor for output: a terminal, a file, or a pipe whose reader may be slow or may close it.
public struct DataOutput: Sendable {
    private let descriptor: Int32
    private let isPipe: Bool
    private let isStopping: @Sendable () -> Bool

    /// The number of bytes that a pipe accepts at once when it is writable (`PIPE_BUF` of `limits.h`).
    private static let pipeRoom = 4_096

    /// - Parameters:
    ///   - descriptor: the file descriptor. The caller keeps its ownership.
    ///   - isStopping: whether a write that waits for its reader should stop.
    public init(descriptor: Int32, isStopping: @escaping @Sendable () -> Bool) {
        self.descriptor = descriptor
        self.isStopping = isStopping
        var status = stat()
        // SAFETY: fstat only fills the structure.
        isPipe = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
        // After the reader has closed the pipe, write returns EPIPE instead of raising a signal.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Whether the reader has closed the output.
    var hasNoReader: Bool {
        var poll = pollfd(fd: descriptor, events: 0, revents: 0)
        // SAFETY: poll gets one structure, as the count says.
        return unsafe Foundation.poll(&poll, 1, 0) == 1 && poll.revents & Int16(POLLERR) != 0
    }

    /// Writes all bytes.
    ///
    /// - Returns: false if the reader has closed the output or the command is stopping.
    /// - Throws: ``DataOutputError`` if writing fails.
    func write(_ bytes: Span<UInt8>) throws(DataOutputError) -> Bool {
        var done = 0
        while done < bytes.count {
            if isPipe, !waitForRoom() { return false }
            let count = min(bytes.count - done, isPipe ? Self.pipeRoom : bytes.count)
            // SAFETY: write only reads the bytes of the span, which is valid during the call.
            let written = unsafe bytes.extracting(done..<done + count).withUnsafeBufferPointer { buffer in
                unsafe Foundation.write(descriptor, buffer.baseAddress, buffer.count)
            }
            if written >= 0 {
                done += written
            } else if errno == EPIPE {
                return false
            } else if errno == EINTR || errno == EAGAIN {
                if isStopping() { return false }
            } else {
                // SAFETY: strerror returns a zero-terminated text, which is copied.
                throw DataOutputError(description: unsafe "cannot write: \(String(cString: strerror(errno)))")
            }
        }
        return true
    }

    /// Waits until a pipe accepts one chunk. Returns false if the command is stopping.
    private func waitForRoom() -> Bool {
        while true {
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            // SAFETY: poll gets one structure, as the count says.
            if unsafe Foundation.poll(&poll, 1, 100) == 1 { return true }
            if isStopping() { return false }
        }
    }
}

/// A failed write.
public struct DataOutputError: Error, CustomStringConvertible {
    public let description: String
}
