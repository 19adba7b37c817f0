import Foundation
import Glibc

/// A port of 127.0.0.1 on which nobody listens, and which nobody else gets while this object exists.
public final class BoundPort: Sendable {
    public let port: Int
    private let descriptor: Int32

    public init() throws {
        (descriptor, port) = try Self.bindSocket()
    }

    deinit {
        close(descriptor)
    }

    /// - Returns: a new socket that is bound to a free port, and the port.
    static func bindSocket() throws -> (descriptor: Int32, port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: a sockaddr_in may be passed as a sockaddr, together with its size.
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard isBound else { throw error }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// The error of the last call of the system.
    static var error: POSIXError { POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
}
