internal import Kafka
internal import StreamCore
internal import WireJSON

/// Makes the headers of a record from its row.
struct RelayHeaders: ~Copyable {
    /// The member names of a row's `headers` that would repeat one of ours are left out.
    private static let own: Set<String> = ["event-id", "event-type", "event-version", "correlation-id", "content-type"]
    /// As static strings: librdkafka copies a name from where it lies.
    private enum Name {
        static let eventID: StaticString = "event-id"
        static let eventType: StaticString = "event-type"
        static let eventVersion: StaticString = "event-version"
        static let correlationID: StaticString = "correlation-id"
        static let contentType: StaticString = "content-type"
        static let id: StaticString = "id"
    }

    private static let json = Array("application/json".utf8)

    private var text = RecordBuffer()

    /// - Throws: ``RowFailure`` when the row's own headers are no object.
    mutating func make(_ row: borrowing OutboxRow, as value: RowLayout.Value) throws(RowFailure) -> RecordHeaders {
        let headers = RecordHeaders(capacity: 8)
        text.start(room: 64)
        text.append(row.eventID)
        switch value {
        case .envelope:
            headers.append(Name.eventID, text.span)
            headers.append(Name.eventType, row.eventType)
            text.start(room: 64)
            text.append(Int64(row.version))
            headers.append(Name.eventVersion, text.span)
            if let correlationID = row.correlationID { headers.append(Name.correlationID, correlationID) }
            headers.append(Name.contentType, Self.json.span)
        case .payload:
            headers.append(Name.id, text.span)
        }
        if let members = row.headers { try Self.append(members, to: headers) }
        return headers
    }

    /// A string's text, NULL for null, and the JSON text of anything else.
    private static func append(_ members: Span<UInt8>, to headers: borrowing RecordHeaders) throws(RowFailure) {
        do throws(JSONError) {
            var reader = try JSONReader(members)
            try reader.enterObject()
            while let key = try reader.nextKey() {
                let name = try reader.string(of: key)
                if own.contains(name) {
                    _ = try reader.skipValue()
                    continue
                }
                switch try reader.peek() {
                case .string: headers.append(name, try reader.readString().utf8Span.span)
                case .null:
                    _ = try reader.readNull()
                    headers.append(name, nil)
                default:
                    let range = try reader.skipValue()
                    headers.append(name, members.extracting(range))
                }
            }
            try reader.finish()
        } catch {
            throw RowFailure("invalid_headers", "the row's headers are no JSON object: \(error)")
        }
    }
}
