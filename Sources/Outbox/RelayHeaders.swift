internal import Kafka
internal import Letters
internal import StreamCore
internal import WireJSON

/// Creates the headers of a record from its row.
///
/// It leaves out headers that a record must not have: those with the name of one of the relay's headers, because
/// consumers could confuse them, and those with invalid names or texts (a NUL character, an unpaired surrogate). The
/// event itself does not depend on them.
struct RelayHeaders: ~Copyable {
    /// Static strings, because librdkafka copies names from their memory.
    private enum Name {
        static let eventID: StaticString = "event-id"
        static let eventType: StaticString = "event-type"
        static let eventVersion: StaticString = "event-version"
        static let correlationID: StaticString = "correlation-id"
        static let contentType: StaticString = "content-type"
        static let id: StaticString = "id"
    }

    private static let json = Array("application/json".utf8)
    private static let ofEnvelope: Set<String> = [
        "event-id", "event-type", "event-version", "correlation-id", "content-type",
    ]
    private static let ofPayload: Set<String> = ["id"]
    private static let traceparent: StaticString = "traceparent"
    private static let traceparentText = "traceparent"

    private var text = RecordBuffer()
    /// Nil if nothing is traced.
    private let tracer: PublishTracer?
    /// The span of the last row; nil if its trace is not recorded.
    private(set) var span: PublishSpan?
    /// The number of headers of the last row that were left out.
    private(set) var leftOut = 0
    /// The reason for the last of them; nil if none was left out.
    private(set) var leftOutReason: String?

    init(tracer: PublishTracer? = PublishTracer()) {
        self.tracer = tracer
    }

    /// The names of the headers that the relay writes itself, in lower case.
    static func own(as value: RowLayout.Value) -> Set<String> {
        switch value {
        case .envelope: ofEnvelope
        case .payload: ofPayload
        }
    }

    /// Whether the relay reserves this name, in any case. The names of dead-letter headers are reserved too: a consumer
    /// could take a record with such headers for a dead letter.
    static func isReserved(_ name: String, _ own: Set<String>) -> Bool {
        let lower = name.lowercased()
        return own.contains(lower) || LetterHeaderNames.contain(lower)
    }

    /// Creates the headers of a row. The row's `traceparent` is passed on unchanged, unless its trace is recorded: then
    /// it refers to ``span``, the span of the row's publication.
    ///
    /// - Throws: ``RowFailure`` if the row's own headers are not a JSON object.
    mutating func make(_ row: borrowing OutboxRow, as value: RowLayout.Value) throws(RowFailure) -> RecordHeaders {
        let headers = RecordHeaders(capacity: 8)
        leftOut = 0
        leftOutReason = nil
        span = nil
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
            if let sourceID = row.sourceID {
                headers.append(Name.id, sourceID)
            } else {
                headers.append(Name.id, text.span)
            }
        }
        if let members = row.headers { try append(members, to: headers, own: Self.own(as: value)) }
        return headers
    }

    private mutating func append(
        _ members: Span<UInt8>, to headers: borrowing RecordHeaders, own: Set<String>
    ) throws(RowFailure) {
        do throws(JSONError) {
            var reader = try JSONReader(members)
            // Some services write `null` if there are no headers.
            if try reader.peek() == .null { return }
            try reader.enterObject()
            while let key = try reader.nextKey() {
                let kind = try reader.peek()
                let name = Self.text(of: key, in: reader)
                // The value is skipped first, so invalid text in it does not end the reading of the other headers.
                let range = try reader.skipValue()
                guard let name, !name.utf8.contains(0) else {
                    leaveOut("a name that is not valid text, or contains a NUL character")
                    continue
                }
                if Self.isReserved(name, own) {
                    leaveOut("a name that the relay writes itself")
                    continue
                }
                append(name, members.extracting(range), kind, to: headers)
            }
            try reader.finish()
        } catch {
            throw RowFailure("invalid_headers", "the row's headers are not a JSON object: \(error)")
        }
    }

    /// Appends a header: the text of a JSON string, NULL for null, and the JSON text of any other value.
    private mutating func append(
        _ name: String, _ json: Span<UInt8>, _ kind: JSONKind, to headers: borrowing RecordHeaders
    ) {
        switch kind {
        case .null: headers.append(name, nil)
        case .string:
            guard let value = Self.text(json) else {
                return leaveOut("a value that is not valid text, such as half of a surrogate pair")
            }
            if let tracer, name == Self.traceparentText, span == nil { span = tracer.begin(value.utf8Span.span) }
            if let span, name == Self.traceparentText {
                headers.append(Self.traceparent, span.traceparent.utf8Span.span)
            } else {
                headers.append(name, value.utf8Span.span)
            }
        default: headers.append(name, json)
        }
    }

    /// The text of a name; nil if it is invalid.
    private static func text(of key: JSONText, in reader: borrowing JSONReader) -> String? {
        do throws(JSONError) { return try reader.string(of: key) } catch { return nil }
    }

    /// The text of a JSON string; nil if it is invalid.
    private static func text(_ json: Span<UInt8>) -> String? {
        do throws(JSONError) {
            var reader = try JSONReader(json)
            return try reader.readString()
        } catch {
            return nil
        }
    }

    private mutating func leaveOut(_ reason: String) {
        leftOut += 1
        leftOutReason = reason
    }
}
