internal import Kafka
internal import Letters
internal import StreamCore
internal import WireJSON

/// Makes the headers of a record from its row.
///
/// What a row asks for and no record may have is left out: a header that would repeat one of ours, which consumers
/// could take for it, and a name or a text that is none (a NUL, half of a surrogate pair). The event itself needs none
/// of them.
struct RelayHeaders: ~Copyable {
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
    /// Headers of the last row that were left out.
    private(set) var leftOut = 0
    /// Why the last of them was; nil when none was.
    private(set) var leftOutReason: String?

    init(tracer: PublishTracer? = PublishTracer()) {
        self.tracer = tracer
    }

    /// The headers that the relay writes itself, in lower case.
    static func own(as value: RowLayout.Value) -> Set<String> {
        switch value {
        case .envelope: ofEnvelope
        case .payload: ofPayload
        }
    }

    /// Whether a header of this name is ours, in any case of its letters. So are those of dead letters: a record that
    /// came with them would be taken for one.
    static func isReserved(_ name: String, _ own: Set<String>) -> Bool {
        let lower = name.lowercased()
        return own.contains(lower) || LetterHeaderNames.contain(lower)
    }

    /// A row's `traceparent` is passed on as it is, unless its trace is recorded: then it names the span of the row's
    /// publication, which is ``span``.
    ///
    /// - Throws: ``RowFailure`` when the row's own headers are no object.
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
            // No object, and no headers: as services write where they have none.
            if try reader.peek() == .null { return }
            try reader.enterObject()
            while let key = try reader.nextKey() {
                let kind = try reader.peek()
                let name = Self.text(of: key, in: reader)
                // Skipped first: what the value's text is wrong in must not end the reading of the others.
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

    /// A string's text, NULL for null, and the JSON text of anything else.
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

    /// Nil when it is no text.
    private static func text(of key: JSONText, in reader: borrowing JSONReader) -> String? {
        do throws(JSONError) { return try reader.string(of: key) } catch { return nil }
    }

    /// What a JSON string says; nil when that is no text.
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
