internal import Glibc

/// Finds a free TCP port of 127.0.0.1.
public enum LoopbackPort {
    /// Finds a free port without reserving it: another process may take it before the caller's server does.
    ///
    /// - Parameter port: the preferred port; nil for any.
    /// - Throws: ``SystemError`` if there is no free port.
    public static func findFree(preferring port: Int? = nil) throws(SystemError) -> Int {
        if let port, let found = try? bound(to: port) { return found }
        return try bound(to: 0)
    }

    /// - Parameter port: 0 for any.
    private static func bound(to port: Int) throws(SystemError) -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { throw SystemError("cannot create a socket", errno) }
        defer { close(socket) }
        // Servers set this option too, so they can use a port that has old connections.
        var yes: Int32 = 1
        // SAFETY: the kernel copies the value.
        unsafe setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = LoopbackAddress.make(port: port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: a sockaddr_in is passed as the sockaddr that it is, with its size.
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(socket, generic, length) == 0 && getsockname(socket, generic, &length) == 0
            }
        }
        guard isBound else { throw SystemError("cannot find a free port", errno) }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Whether a server listens on this port of 127.0.0.1.
    public static func isListening(on port: Int) -> Bool {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        var address = LoopbackAddress.make(port: port)
        // SAFETY: a sockaddr_in is passed as the sockaddr that it is, with its size.
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe connect(socket, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}

private enum LoopbackAddress {
    static func make(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = in_port_t(port).bigEndian
        return address
    }
}

/// A call to the operating system that failed.
public struct SystemError: Error, CustomStringConvertible {
    /// The C library's `errno`.
    public let number: Int32
    /// The failed operation, and the C library's message.
    public let description: String

    /// - Parameters:
    ///   - what: the failed operation, as in "cannot create a socket".
    ///   - number: the C library's `errno`.
    public init(_ what: String, _ number: Int32) {
        self.number = number
        // SAFETY: strerror returns a zero-terminated text, which is copied at once.
        description = "\(what): \(unsafe String(cString: strerror(number)))"
    }
}
