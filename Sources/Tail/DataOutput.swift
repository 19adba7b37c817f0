internal import Foundation

/// A file descriptor that data goes to: a terminal, a file, or a pipe whose reader may be slow, or leave.
public struct DataOutput: Sendable {
    private let descriptor: Int32
    private let isPipe: Bool
    private let isStopping: @Sendable () -> Bool

    /// Bytes that a pipe takes at once whenever it takes any (PIPE_BUF of limits.h).
    private static let pipeRoom = 4_096

    /// - Parameter isStopping: whether a write that waits for its reader is to be given up.
    public init(descriptor: Int32, isStopping: @escaping @Sendable () -> Bool) {
        self.descriptor = descriptor
        self.isStopping = isStopping
        var status = stat()
        // SAFETY: fills the structure that it is given.
        isPipe = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
        // A reader that has left is told by the write's error instead.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Whether the reader has closed the output.
    var hasNoReader: Bool {
        var poll = pollfd(fd: descriptor, events: 0, revents: 0)
        // SAFETY: one structure, as the count says.
        return unsafe Foundation.poll(&poll, 1, 0) == 1 && poll.revents & Int16(POLLERR) != 0
    }

    /// Writes all of it.
    ///
    /// - Returns: false if the reader has closed the output, or the command is stopping.
    /// - Throws: why the bytes cannot be written.
    func write(_ bytes: Span<UInt8>) throws(DataOutputError) -> Bool {
        var done = 0
        while done < bytes.count {
            if isPipe, !waitForRoom() { return false }
            let count = min(bytes.count - done, isPipe ? Self.pipeRoom : bytes.count)
            // SAFETY: writes only from the bytes of the span, which live during the call.
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
                // SAFETY: a zero-terminated text of the C library, copied.
                throw DataOutputError(description: unsafe "cannot write: \(String(cString: strerror(errno)))")
            }
        }
        return true
    }

    /// Waits until a pipe takes as much as is written at once.
    private func waitForRoom() -> Bool {
        while true {
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            // SAFETY: one structure, as the count says.
            if unsafe Foundation.poll(&poll, 1, 100) == 1 { return true }
            if isStopping() { return false }
        }
    }
}

/// Why data could not be written.
public struct DataOutputError: Error, CustomStringConvertible {
    public let description: String
}
