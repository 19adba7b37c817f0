internal import Tracing
internal import WireJSON

/// Writes spans as OTLP/JSON: one `ExportTraceServiceRequest`.
///
/// The mapping is that of proto3 JSON with OTLP's exceptions (opentelemetry.io/docs/specs/otlp, JSON Protobuf
/// Encoding): ids are hexadecimal text, 64-bit integers are text, enums are numbers, names are in lowerCamelCase.
public struct OTLPTraces: Sendable {
    /// The version of the semantic conventions that define the names of attributes.
    static let schema = "https://opentelemetry.io/schemas/1.30.0"

    private let resource: [(name: String, value: String)]
    private let scopeVersion: String

    /// - Parameters:
    ///   - resource: attributes of the process, `service.name` and the like.
    ///   - scopeVersion: the version of the program.
    public init(resource: [(name: String, value: String)], scopeVersion: String) {
        self.resource = resource
        self.scopeVersion = scopeVersion
    }

    /// The JSON of one request, in one line, without the line end.
    public func encode(_ spans: [FinishedSpan]) -> [UInt8] {
        var json = JSONWriter(capacity: 1_024 + 700 * spans.count)
        json.object {
            $0.array("resourceSpans") {
                $0.object {
                    $0.key("resource")
                    $0.object { json in
                        json.array("attributes") { json in
                            for (name, value) in resource { Self.write(name, .string(value), to: &json) }
                        }
                    }
                    $0.array("scopeSpans") {
                        $0.object {
                            $0.key("scope")
                            $0.object {
                                $0.key("name")
                                $0.string("millrace")
                                $0.key("version")
                                $0.string(scopeVersion)
                            }
                            $0.array("spans") { json in for span in spans { Self.write(span, to: &json) } }
                            $0.key("schemaUrl")
                            $0.string(Self.schema)
                        }
                    }
                    $0.key("schemaUrl")
                    $0.string(Self.schema)
                }
            }
        }
        return json.finish()
    }

    private static func write(_ span: FinishedSpan, to json: inout JSONWriter) {
        json.object { json in
            write(span.context, to: &json)
            if let parent = span.parentID {
                json.key("parentSpanId")
                json.string(TraceText.hexadecimal(parent))
            }
            json.key("name")
            json.string(span.name)
            json.key("kind")
            json.number(number(of: span.kind))
            json.key("startTimeUnixNano")
            json.string(String(span.start))
            json.key("endTimeUnixNano")
            json.string(String(span.end))
            write(span.attributes, to: &json)
            writeEvents(of: span, to: &json)
            writeLinks(of: span, to: &json)
            if let status = span.status { write(status, to: &json) }
        }
    }

    /// The members that spans and links have in common.
    private static func write(_ context: TraceContext, to json: inout JSONWriter) {
        json.key("traceId")
        json.string(context.traceID.text)
        json.key("spanId")
        json.string(context.spanText)
        if let state = context.state {
            json.key("traceState")
            json.string(state)
        }
        json.key("flags")
        json.number(Int32(context.flags))
    }

    private static func writeEvents(of span: FinishedSpan, to json: inout JSONWriter) {
        if !span.events.isEmpty {
            json.array("events") { json in
                for event in span.events {
                    json.object { json in
                        json.key("timeUnixNano")
                        json.string(String(event.nanosecondsSinceEpoch))
                        json.key("name")
                        json.string(event.name)
                        write(event.attributes, to: &json)
                    }
                }
            }
        }
        if span.droppedEvents > 0 {
            json.key("droppedEventsCount")
            json.number(span.droppedEvents)
        }
    }

    private static func writeLinks(of span: FinishedSpan, to json: inout JSONWriter) {
        if !span.links.isEmpty {
            json.array("links") { json in
                for link in span.links {
                    json.object { json in
                        write(link.context, to: &json)
                        write(link.attributes, to: &json)
                    }
                }
            }
        }
        if span.droppedLinks > 0 {
            json.key("droppedLinksCount")
            json.number(span.droppedLinks)
        }
    }

    private static func write(_ status: SpanStatus, to json: inout JSONWriter) {
        json.key("status")
        json.object { json in
            if let message = status.message {
                json.key("message")
                json.string(message)
            }
            json.key("code")
            json.number(status.code == .ok ? 1 : 2)
        }
    }

    /// `SpanKind` of trace.proto.
    private static func number(of kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    // MARK: attributes

    /// Writes attributes in the order of their names, so that a span always has the same text.
    private static func write(_ attributes: SpanAttributes, to json: inout JSONWriter) {
        if attributes.isEmpty { return }
        var entries: [(String, SpanAttribute)] = []
        attributes.forEach { entries.append(($0, $1)) }
        json.array("attributes") { json in
            for (name, value) in entries.sorted(by: { $0.0 < $1.0 }) { write(name, value, to: &json) }
        }
    }

    /// A `KeyValue`.
    private static func write(_ name: String, _ value: SpanAttribute, to json: inout JSONWriter) {
        json.object { json in
            json.key("key")
            json.string(name)
            json.key("value")
            write(value, to: &json)
        }
    }

    /// An `AnyValue`.
    private static func write(_ value: SpanAttribute, to json: inout JSONWriter) {
        switch value {
        case .int32Array(let values): write(values.map { .int64(Int64($0)) }, to: &json)
        case .int64Array(let values): write(values.map { .int64($0) }, to: &json)
        case .doubleArray(let values): write(values.map { .double($0) }, to: &json)
        case .boolArray(let values): write(values.map { .bool($0) }, to: &json)
        case .stringArray(let values): write(values.map { .string($0) }, to: &json)
        case .stringConvertibleArray(let values): write(values.map { .string("\($0)") }, to: &json)
        default: json.object { writeMember(value, to: &$0) }
        }
    }

    private static func write(_ values: [SpanAttribute], to json: inout JSONWriter) {
        json.object { json in
            json.key("arrayValue")
            json.object { json in
                json.array("values") { json in for value in values { write(value, to: &json) } }
            }
        }
    }

    private static func writeMember(_ value: SpanAttribute, to json: inout JSONWriter) {
        switch value {
        case .int32(let number):
            json.key("intValue")
            json.string(String(number))
        case .int64(let number):
            json.key("intValue")
            json.string(String(number))
        case .double(let number):
            json.key("doubleValue")
            if number.isFinite {
                json.raw("\(number)")
            } else {
                json.string(number.isNaN ? "NaN" : number > 0 ? "Infinity" : "-Infinity")
            }
        case .bool(let flag):
            json.key("boolValue")
            json.bool(flag)
        case .string(let text):
            json.key("stringValue")
            json.string(text)
        default:
            json.key("stringValue")
            json.string(text(of: value))
        }
    }

    /// The text of other kinds of values, which later versions of the tracing library may add.
    private static func text(of value: SpanAttribute) -> String {
        if case .stringConvertible(let value) = value { return "\(value)" }
        return "\(value)"
    }
}

extension JSONWriter {
    fileprivate mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    fileprivate mutating func array(_ name: StaticString, _ body: (inout JSONWriter) -> Void) {
        key(name)
        beginArray()
        body(&self)
        endArray()
    }
}
