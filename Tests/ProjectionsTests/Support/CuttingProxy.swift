import Foundation
import Glibc
import Synchronization

/// A proxy between a client and a PostgreSQL server on 127.0.0.1. It cuts connections at COMMIT, so that the client
/// cannot know the outcome of its transaction.
final class CuttingProxy: Sendable {
    enum Cut {
        /// The server never receives the COMMIT.
        case beforeCommit
        /// The server commits, but its answer is lost.
        case afterCommit
    }

    let port: Int
    private let target: UInt16
    private let listener: Int32
    private let armed = Mutex<(cut: Cut, isAlone: Bool)?>(nil)
    private let cuts = Atomic(0)

    init(target: Int) throws {
        self.target = UInt16(target)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Self.loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(listener, pointer, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, pointer, &length) == 0
            }
        }
        guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        self.listener = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in acceptAll() }
    }

    /// Stops accepting connections.
    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
    }

    /// Cuts the connection of the next COMMIT.
    ///
    /// - Parameter isAlone: whether to wait for a COMMIT that is sent alone, not together with queued statements.
    func cut(_ next: Cut, alone isAlone: Bool = false) {
        armed.withLock { $0 = (next, isAlone) }
    }

    /// Number of connections that were cut.
    var count: Int { cuts.load(ordering: .sequentiallyConsistent) }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private func acceptAll() {
        while true {
            let client = accept(listener, nil, nil)
            if client < 0 { break }
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(target)
            let isConnected = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    unsafe connect(server, pointer, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            guard isConnected else {
                _ = Glibc.close(client)
                _ = Glibc.close(server)
                continue
            }
            let pair = Pair(client: client, server: server)
            Thread.detachNewThread { [self] in pumpToServer(pair) }
            Thread.detachNewThread { pumpToClient(pair) }
        }
        _ = Glibc.close(listener)
    }

    private func pumpToServer(_ pair: Pair) {
        pair.pump(from: pair.client, to: pair.server) { [self] bytes in
            let cut = armed.withLock { armed -> Cut? in
                guard let next = armed, Self.isCommit(bytes, alone: next.isAlone) else { return nil }
                armed = nil
                return next.cut
            }
            guard let cut else { return true }
            cuts.add(1, ordering: .sequentiallyConsistent)
            if cut == .beforeCommit { return false }
            pair.swallowsAnswer.store(true, ordering: .sequentiallyConsistent)
            return true
        }
    }

    /// A simple query consists of `Q`, its length, its text and a zero byte. In a pipeline, the text is in an unnamed
    /// `Parse` after other messages.
    private static func isCommit(_ bytes: ArraySlice<UInt8>, alone isAlone: Bool) -> Bool {
        bytes.first == UInt8(ascii: "Q") && bytes.dropFirst(5).elementsEqual("COMMIT\0".utf8)
            || !isAlone && Data(bytes).range(of: Data("\0COMMIT\0".utf8)) != nil
    }
}

private func pumpToClient(_ pair: Pair) {
    pair.pump(from: pair.server, to: pair.client) { _ in
        !pair.swallowsAnswer.load(ordering: .sequentiallyConsistent)
    }
}

/// One connection through the proxy. It closes its descriptors when both directions have ended.
private final class Pair: Sendable {
    let client: Int32
    let server: Int32
    let swallowsAnswer = Atomic(false)

    init(client: Int32, server: Int32) {
        self.client = client
        self.server = server
    }

    deinit {
        _ = Glibc.close(client)
        _ = Glibc.close(server)
    }

    func pump(from source: Int32, to sink: Int32, while passes: (ArraySlice<UInt8>) -> Bool) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe recv(source, &buffer, buffer.count, 0)
            guard count > 0, passes(buffer[..<count]) else { break }
            var sent = 0
            while sent < count {
                let written = unsafe buffer.withUnsafeBytes { bytes in
                    unsafe send(sink, bytes.baseAddress?.advanced(by: sent), count - sent, Int32(MSG_NOSIGNAL))
                }
                if written <= 0 { break }
                sent += written
            }
            if sent < count { break }
        }
        shutdown(client, Int32(SHUT_RDWR))
        shutdown(server, Int32(SHUT_RDWR))
    }
}
