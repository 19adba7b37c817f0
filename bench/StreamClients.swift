import Foundation
import Glibc
import Synchronization

/// Clients of an event stream, all on one thread. They read everything, and record when each first received a text.
final class StreamClients: Sendable {
    private struct State {
        var marker: [UInt8] = []
        /// By client; nil for a client that has not received the marker yet.
        var seen: [ContinuousClock.Instant?] = []
        var unseen = 0
        var failure: BenchError?
        var isStopped = false
        var bytes = 0
    }

    private let descriptors: [Int32]
    private let state = Mutex(State())

    init(port: Int, count: Int, target: String) throws {
        descriptors = try (0..<count).map { _ in try ClientSocket.connect(port: port) }
        expect("event: snapshot")
        let bytes = request(target)
        for descriptor in descriptors {
            // SAFETY: the kernel copies the bytes; a request fits the socket's buffer.
            guard unsafe send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
                throw BenchError("send: \(errno)")
            }
        }
        let thread = Thread { self.loop() }
        thread.name = "streams"
        thread.start()
    }

    /// From now on the clients search for this text.
    func expect(_ text: String) {
        state.withLock { state in
            state.marker = Array(text.utf8)
            state.seen = Array(repeating: nil, count: descriptors.count)
            state.unseen = descriptors.count
        }
    }

    /// Waits until each client has received the text.
    ///
    /// - Returns: the time of each client.
    func seen(within limit: Duration) async throws -> [ContinuousClock.Instant] {
        let deadline = ContinuousClock.now + limit
        while true {
            let (unseen, failure) = state.withLock { ($0.unseen, $0.failure) }
            if let failure { throw failure }
            if unseen == 0 { return state.withLock { $0.seen.compactMap(\.self) } }
            guard ContinuousClock.now < deadline else {
                throw BenchError("\(unseen) of \(descriptors.count) clients did not receive the text within \(limit)")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    var bytesReceived: Int { state.withLock { $0.bytes } }

    /// Closes the connections.
    func stop() {
        state.withLock { $0.isStopped = true }
    }

    private func loop() {
        defer { for descriptor in descriptors { close(descriptor) } }
        var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // The end of each client's last piece, which may contain the beginning of the marker.
        var tails = [[UInt8]](repeating: [], count: descriptors.count)
        var buffer = [UInt8](repeating: 0, count: 1 << 18)
        while !state.withLock({ $0.isStopped }) {
            // SAFETY: the kernel writes the events of as many entries, and then as many bytes, as the arrays have.
            guard unsafe poll(&waiting, nfds_t(waiting.count), 100) > 0 else { continue }
            for index in waiting.indices where waiting[index].revents != 0 {
                let length = unsafe recv(descriptors[index], &buffer, buffer.count, Int32(MSG_DONTWAIT))
                guard length > 0 else {
                    return state.withLock { $0.failure = BenchError("the server closed stream \(index)") }
                }
                look(at: buffer[..<length], of: index, &tails[index])
            }
        }
    }

    private func look(at piece: ArraySlice<UInt8>, of index: Int, _ tail: inout [UInt8]) {
        let now = ContinuousClock.now
        state.withLock { state in
            state.bytes += piece.count
            if state.seen[index] != nil { return }
            if Self.contains(tail + piece, state.marker) {
                state.seen[index] = now
                state.unseen -= 1
                tail = []
            } else {
                tail = Array((tail + piece).suffix(state.marker.count - 1))
            }
        }
    }

    private static func contains(_ bytes: [UInt8], _ marker: [UInt8]) -> Bool {
        guard let first = marker.first, bytes.count >= marker.count else { return false }
        let (bytes, marker) = (bytes.span, marker.span)
        for start in 0...(bytes.count - marker.count) where bytes[start] == first {
            var length = 1
            while length < marker.count, bytes[start + length] == marker[length] { length += 1 }
            if length == marker.count { return true }
        }
        return false
    }
}
