/// Writes events in the format `text/event-stream` (HTML Living Standard, section 9.2).
enum ServerSentEvent {
    /// - Parameter data: one line.
    static func bytes(_ event: StaticString, id: String, data: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + 64)
        bytes += "id: \(id)\nevent: \(event)\ndata: ".utf8
        bytes += data
        bytes += "\n\n".utf8
        return bytes
    }

    /// A comment. It keeps the connection open, and shows both ends that it is open.
    static let heartbeat = Array(": heartbeat\n\n".utf8)

    /// The last event before the service stops. The client reconnects after one second.
    static let goodbye = Array("event: goodbye\nretry: 1000\ndata: {\"reason\":\"shutdown\"}\n\n".utf8)
}
