internal import CLinux
internal import Glibc

/// A file descriptor that any thread can make readable, to end another thread's `poll` (an `eventfd`).
public final class Wakeup: Sendable {
    /// The descriptor is readable after ``signal()`` until ``drain()``. This object owns it; do not close it.
    public let fileDescriptor: Int32

    /// - Throws: ``WakeupError`` if the process has no file descriptor left.
    public init() throws(WakeupError) {
        fileDescriptor = clinux_eventfd()
        if fileDescriptor < 0 { throw WakeupError(errno: errno) }
    }

    deinit {
        close(fileDescriptor)
    }

    /// Makes the descriptor readable. It never blocks: signals that were not read yet are combined into one.
    public func signal() {
        var one: UInt64 = 1
        _ = unsafe write(fileDescriptor, &one, MemoryLayout<UInt64>.size)
    }

    /// Makes the descriptor unreadable until the next signal.
    public func drain() {
        var count: UInt64 = 0
        _ = unsafe read(fileDescriptor, &count, MemoryLayout<UInt64>.size)
    }

    /// Blocks the calling thread until this object is signalled, `descriptor` is readable, or the time has passed. Then
    /// it drains the signal.
    ///
    /// - Parameters:
    ///   - descriptor: a second descriptor to watch; nil for none.
    ///   - timeoutMs: maximum time to wait in milliseconds; 0 returns at once.
    /// - Returns: whether one of them was ready in time.
    @discardableResult
    public func wait(orReadable descriptor: Int32? = nil, timeoutMs: Int32) -> Bool {
        var descriptors = [pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)]
        if let descriptor { descriptors.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)) }
        let ready = unsafe poll(&descriptors, nfds_t(descriptors.count), max(timeoutMs, 0))
        if descriptors[0].revents != 0 { drain() }
        return ready > 0
    }
}

/// The process has no file descriptor left for a wake-up.
public struct WakeupError: Error, CustomStringConvertible {
    /// The C library's `errno`.
    public let errno: Int32

    public var description: String { "cannot create an eventfd: \(unsafe String(cString: strerror(errno)))" }
}
