internal import Glibc

/// Tells systemd, or whatever started the process so, how it is: `sd_notify(3)`'s protocol in plain Swift, one datagram
/// a message to the socket that `NOTIFY_SOCKET` names. Without that variable every call does nothing.
///
/// Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
public struct SystemdNotifier: Sendable {
    private let socketPath: String?
    /// How often systemd wants to hear from the watchdog; nil when it does not watch.
    public let watchdogInterval: Duration?

    /// - Parameter environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are read from it.
    public init(environment: [String: String]) {
        socketPath = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogInterval =
            socketPath != nil && isForUs && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    /// The start is over.
    public func ready() { send("READY=1") }
    /// The process is stopping, and ends within this time whatever happens: systemd may wait so long even where its own
    /// `TimeoutStopSec=` is shorter.
    public func stopping(within timeout: Duration) {
        // A whole number of microseconds; systemd refuses anything else.
        send("STOPPING=1\nEXTEND_TIMEOUT_USEC=\(Int64(timeout / .microseconds(1)))")
    }
    /// The process still makes progress.
    public func alive() { send("WATCHDOG=1") }
    /// One line for `systemctl status`.
    public func status(_ text: String) { send("STATUS=" + text.split(separator: "\n").joined(separator: " ")) }

    /// Failures are ignored, as `sd_notify` recommends: the daemon cannot correct them.
    private func send(_ message: String) {
        guard let socketPath, var address = Self.address(of: socketPath) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + socketPath.utf8.count)
        let bytes = Array(message.utf8)
        // SAFETY: the address and the bytes live through the call, and the kernel copies both.
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), generic, length)
            }
        }
    }

    /// A path, or with a leading `@` a name of Linux's abstract namespace, in which a NUL stands first.
    private static func address(of path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        // SAFETY: `sun_path` is an array of bytes, longer than the name, whose rest stays zero.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        return address
    }
}
