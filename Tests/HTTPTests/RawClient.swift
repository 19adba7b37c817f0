import Glibc
import TestKit
import Testing

/// A client that sends any bytes, valid or not, and shows the response.
final class RawClient {
    struct Response {
        let status: Int
        /// The names are in lower case.
        let headers: [(name: String, value: String)]
        let body: String

        func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    }

    /// The connection failed.
    struct Failure: Error {
        let code: Int32
    }

    private let descriptor: Int32
    /// Bytes that were received but not yet returned.
    private(set) var received: [UInt8] = []
    private(set) var isAtEnd = false

    /// - Parameter receiveBuffer: the kernel's receive buffer, in bytes. A small one makes the client slow.
    init(port: Int, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        if var receiveBuffer {
            // SAFETY: the kernel copies the value.
            unsafe setsockopt(
                descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        // SAFETY: the kernel copies the address.
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        // The descriptor is closed by `deinit`, which runs after this too.
        guard result == 0 else { throw Failure(code: errno) }
        guard ownPort != port else { throw Failure(code: ECONNREFUSED) }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    /// If nobody listens at the port any more, the kernel may choose that port for the client and connect the socket to
    /// itself.
    private var ownPort: Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // SAFETY: the kernel writes an address of the size that it is given.
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe getsockname(descriptor, generic, &length)
            }
        }
        return result == 0 ? Int(in_port_t(bigEndian: address.sin_port)) : 0
    }

    deinit {
        Glibc.close(descriptor)
    }

    func send(_ text: String) async throws {
        var bytes = Array(text.utf8)[...]
        try await eventually {
            // SAFETY: the kernel copies the bytes.
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno != EAGAIN { throw Failure(code: errno) }
            bytes = bytes.dropFirst(max(count, 0))
            return bytes.isEmpty
        }
    }

    /// Sends as many bytes as the kernel accepts.
    ///
    /// - Returns: the number of bytes; nil if the connection is closed.
    func sendNow(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        // SAFETY: the kernel copies the bytes.
        let count = unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        return count >= 0 ? count : errno == EAGAIN ? 0 : nil
    }

    func endInput() {
        _ = shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Receives the bytes that have arrived.
    func receiveNow() {
        var piece = [UInt8](repeating: 0, count: 65_536)
        while !isAtEnd {
            // SAFETY: the kernel writes at most as many bytes as the array has.
            let count = unsafe recv(descriptor, &piece, piece.count, 0)
            if count > 0 { received += piece[..<count] }
            if count == 0 || count < 0 && errno != EAGAIN { isAtEnd = true }
            if count < 0 { break }
        }
    }

    /// Receives until the server has closed the connection.
    func receiveToEnd() async throws -> String {
        try await eventually {
            receiveNow()
            return isAtEnd
        }
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    /// Waits for a text, and returns everything up to its end.
    @discardableResult
    func receive(through text: String) async throws -> String {
        var taken = ""
        try await eventually {
            receiveNow()
            guard let end = received.firstRange(of: Array(text.utf8)) else {
                if isAtEnd { throw Failure(code: ECONNRESET) }
                return false
            }
            taken = String(decoding: received[..<end.upperBound], as: UTF8.self)
            received.removeFirst(end.upperBound)
            return true
        }
        return taken
    }

    /// Waits for a response.
    ///
    /// - Parameter hasBody: false for the response to HEAD.
    func response(hasBody: Bool = true) async throws -> Response {
        let lines = try await receive(through: "\r\n\r\n").split(separator: "\r\n")
        let headers = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (
                name: line[..<colon].lowercased(),
                value: String(line[colon...].dropFirst().drop { $0 == " " })
            )
        }
        let status = try #require(lines.first.flatMap { Int($0.split(separator: " ")[1]) })
        var body = ""
        if hasBody, headers.contains(where: { $0.name == "transfer-encoding" && $0.value == "chunked" }) {
            while let chunk = try await chunk() { body += chunk }
        } else if hasBody, let length = headers.first(where: { $0.name == "content-length" }).flatMap({ Int($0.value) })
        {
            try await eventually {
                receiveNow()
                if isAtEnd, received.count < length { throw Failure(code: ECONNRESET) }
                return received.count >= length
            }
            body = String(decoding: received[..<length], as: UTF8.self)
            received.removeFirst(length)
        }
        return Response(status: status, headers: headers, body: body)
    }

    /// The next chunk of a chunked body; nil for its end.
    func chunk() async throws -> String? {
        let length = try #require(Int(try await receive(through: "\r\n").dropLast(1), radix: 16))
        try await eventually {
            receiveNow()
            if isAtEnd, received.count < length + 2 { throw Failure(code: ECONNRESET) }
            return received.count >= length + 2
        }
        defer { received.removeFirst(length + 2) }
        return length == 0 ? nil : String(decoding: received[..<length], as: UTF8.self)
    }

    func get(_ target: String, headers: String = "") async throws -> Response {
        try await send("GET \(target) HTTP/1.1\r\nHost: test\r\n\(headers)\r\n")
        return try await response()
    }
}
