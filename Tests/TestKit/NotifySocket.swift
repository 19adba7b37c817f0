import Foundation
import Glibc
import Testing

/// A socket for messages to a supervisor such as systemd.
public final class NotifySocket: Sendable {
    public let path: String
    private let descriptor: Int32

    public init(abstract: Bool = false) throws {
        let name = "millrace-notify-" + UUID().uuidString
        path = abstract ? "@" + name : NSTemporaryDirectory() + name
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if abstract { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + (abstract ? 0 : 1))
        // SAFETY: the address is valid during the call.
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        try #require(descriptor >= 0 && bound == 0, "errno \(errno)")
    }

    deinit {
        close(descriptor)
        if path.hasPrefix("/") { unsafe unlink(path) }
    }

    /// Waits for the next message and returns it.
    public func next() async throws -> String {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        var count = -1
        try await eventually {
            count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            return count >= 0
        }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    /// Drops the messages that have arrived.
    public func discardAll() {
        var byte: UInt8 = 0
        while unsafe recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0 {}
    }

    /// Waits for the next message that is not a status, and returns it.
    public func nextButStatus() async throws -> String {
        while true {
            let message = try await next()
            if !message.hasPrefix("STATUS=") { return message }
        }
    }
}
