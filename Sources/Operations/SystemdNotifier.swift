internal import Glibc

/// Sends notifications to systemd or another supervisor, by the protocol of `sd_notify(3)`: one datagram for each
/// message to the socket that `NOTIFY_SOCKET` names. If the variable is not set, all methods do nothing.
///
/// Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
public struct SystemdNotifier: Sendable {
    private let socketPath: String?
    /// The time after which systemd restarts a process without watchdog notifications; nil if the watchdog is off.
    public let watchdogInterval: Duration?

    /// - Parameter environment: the environment, with `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    public init(environment: [String: String]) {
        socketPath = environment["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        let isForUs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
        let microseconds = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogInterval =
            socketPath != nil && isForUs && microseconds > 0 ? .microseconds(microseconds) : nil
    }

    /// Reports that the process has started.
    public func ready() { send("READY=1") }
    /// Reports that the process is stopping and will end within `timeout`. systemd then waits that long even if its
    /// `TimeoutStopSec=` is shorter.
    public func stopping(within timeout: Duration) {
        // systemd accepts only whole microseconds.
        send("STOPPING=1\nEXTEND_TIMEOUT_USEC=\(Int64(timeout / .microseconds(1)))")
    }
    /// Sends a watchdog notification.
    public func alive() { send("WATCHDOG=1") }
    /// Sets the line that `systemctl status` shows.
    public func status(_ text: String) { send("STATUS=" + text.split(separator: "\n").joined(separator: " ")) }

    /// Sends one message. Errors are ignored, as `sd_notify` recommends, because the daemon cannot correct them.
    private func send(_ message: String) {
        guard let socketPath, var address = Self.address(of: socketPath) else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + socketPath.utf8.count)
        let bytes = Array(message.utf8)
        // SAFETY: the address and the bytes are valid during the call, and the kernel copies both.
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), generic, length)
            }
        }
    }

    /// The address for a path, or for a name in Linux's abstract namespace. Such a name has a leading `@`, which
    /// becomes NUL.
    private static func address(of path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        if name.first == UInt8(ascii: "@") { name[0] = 0 }
        // SAFETY: `sun_path` is an array of bytes that is longer than the name. The remaining bytes stay zero.
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: name) }
        return address
    }
}
