public import WireJSON

/// Decodes a record's bytes to an event of one domain in one pass: the envelope, then the payload by type and version.
///
/// Unknown fields are skipped. A payload of the current version is decoded at once if the type and the version come
/// before it, as in everything that Millrace writes. Otherwise its range is remembered, and it is decoded when they are
/// known.
public enum EventDecoder<Payload: EventPayload> {
    /// - Parameter value: the record's value. The caller handles records without a value (tombstones).
    /// - Throws: ``EventDecodeError``, a permanent failure.
    @inlinable
    public static func decode(_ value: Span<UInt8>) throws(EventDecodeError) -> DecodedEvent<Payload> {
        guard !value.isEmpty else {
            throw EventDecodeError(.emptyValue, path: "$", detail: "the record's value is empty")
        }
        var envelope = Envelope()
        let outcome: Outcome
        do {
            outcome = try decodeCurrent(value, &envelope)
        } catch {
            if let name = unknownTypeName(in: value) { return .unknownType(name) }
            throw error.located(in: value)
        }
        switch outcome {
        case .decoded(let result): return result
        case .outdated(let type, let version):
            let payload = try upcast(value.extracting(envelope.payloadRange), of: type, from: version)
            do {
                return .event(try envelope.event(payload, in: try FieldReader(value)))
            } catch { throw error.located(in: value) }
        }
    }

    @usableFromInline
    enum Outcome {
        case decoded(DecodedEvent<Payload>)
        case outdated(Payload.Kind, version: Int)
    }

    @inlinable
    static func decodeCurrent(
        _ value: Span<UInt8>, _ envelope: inout Envelope
    ) throws(DecodeProblem) -> Outcome {
        var fields = try FieldReader(value)
        var payload: Payload?
        while try envelope.read(&fields) {
            let start = fields.json.offset
            if let type = try type(envelope, fields), envelope.hasVersion(type.currentVersion) {
                payload = try Payload.decode(type, &fields)
            } else {
                try fields.skip()
            }
            envelope.tookPayload(start..<fields.json.offset)
        }
        if let payload { return .decoded(.event(try envelope.event(payload, in: fields))) }
        guard let type = try type(envelope, fields) else {
            return .decoded(.unknownType(try fields.string(of: envelope.requiredType())))
        }
        let version = try envelope.checkedVersion(of: type.rawValue, current: type.currentVersion)
        try envelope.requirePayload()
        if version < type.currentVersion { return .outdated(type, version: version) }
        var located = FieldReader(fields.json.reader(at: envelope.payloadRange.lowerBound))
        return .decoded(.event(try envelope.event(Payload.decode(type, &located), in: fields)))
    }

    @inlinable
    static func type(
        _ envelope: Envelope, _ fields: borrowing FieldReader
    ) throws(DecodeProblem) -> Payload.Kind? {
        Payload.Kind(try envelope.requiredType(), in: fields.json)
    }

    /// The `eventType` of a value with an invalid envelope, if the value is well-formed and the domain does not know
    /// the type. Events of other producers may lack fields that our envelope requires.
    @usableFromInline
    static func unknownTypeName(in value: Span<UInt8>) -> String? {
        guard var json = try? JSONReader(value), (try? json.enterObject()) != nil else { return nil }
        var name: String?
        do {
            while let key = try json.nextKey() {
                if json.matches(key, "eventType"), try json.peek() == .string {
                    let text = try json.readText()
                    guard Payload.Kind(text, in: json) == nil else { return nil }
                    name = try json.string(of: text)
                } else {
                    try json.skipValue()
                }
            }
            try json.finish()
        } catch {
            return nil
        }
        return name
    }

    /// Decodes a payload that is stored without its envelope, for example in an event store.
    ///
    /// - Parameter version: the schema version in which the payload was written.
    /// - Throws: ``EventDecodeError`` if the payload is invalid or the version is unknown, for example newer than this
    ///   program.
    public static func payload(
        _ payload: Span<UInt8>, of type: Payload.Kind, version: Int
    ) throws(EventDecodeError) -> Payload {
        guard (1...type.currentVersion).contains(version) else {
            throw EventDecodeError(
                .unknownVersion, path: "$.version", detail: "version \(version) of \(type.rawValue) is not known")
        }
        if version < type.currentVersion { return try upcast(payload, of: type, from: version) }
        do {
            var fields = try FieldReader(payload)
            let decoded = try Payload.decode(type, &fields)
            try fields.finish()
            return decoded
        } catch {
            throw error.located(in: payload, root: "$.payload")
        }
    }

    /// Converts a payload of `version` to the current version and decodes it. It rewrites the payload as a tree, which
    /// is slow, but old events occur only in rebuilds.
    ///
    /// - Throws: ``EventDecodeError`` that names the version, because the version may be what is wrong. A row of the
    ///   outbox has version 1 if its writer does not set it.
    @usableFromInline
    static func upcast(
        _ payload: Span<UInt8>, of type: Payload.Kind, from version: Int
    ) throws(EventDecodeError) -> Payload {
        do throws(EventDecodeError) {
            return try convert(payload, of: type, from: version)
        } catch {
            let note = "read as version \(version) of \(type.rawValue); the current version is \(type.currentVersion)"
            throw EventDecodeError(error.errorClass, path: error.path, detail: "\(error.detail) (\(note))")
        }
    }

    private static func convert(
        _ payload: Span<UInt8>, of type: Payload.Kind, from version: Int
    ) throws(EventDecodeError) -> Payload {
        var tree: JSONValue
        do {
            var reader = try JSONReader(payload)
            tree = try JSONValue(from: &reader)
        } catch {
            throw DecodeProblem(error).located(in: payload, root: "$.payload")
        }
        for step in type.upcasts.dropFirst(version - 1) { try step.apply(to: &tree) }
        var writer = JSONWriter()
        tree.write(to: &writer)
        let current = writer.finish()
        do {
            var fields = try FieldReader(current.span)
            return try Payload.decode(type, &fields)
        } catch {
            throw error.located(in: current.span, root: "$.payload")
        }
    }
}
