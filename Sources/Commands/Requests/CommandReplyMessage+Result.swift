internal import Events
internal import WireJSON

extension CommandBus {
    /// Sends a command that a request asks for, and says what came of it.
    ///
    /// - Parameters:
    ///   - source: the service's name, which the events carry.
    ///   - collection: the path below which the aggregates are, with a slash at its end.
    ///   - hasReadModel: whether query-service has the aggregate under the same path.
    ///   - isNew: the command makes the aggregate: 201 with its location.
    public func answer(
        _ command: some Command, _ call: CommandCall, source: String, collection: String, hasReadModel: Bool,
        isNew: Bool = false
    ) async throws(CommandProblem) -> CommandReplyMessage {
        let request = try call.request(source: source)
        let outcome: CommandOutcome
        do throws(CommandFailure) {
            outcome = try await send(command, request)
        } catch { throw CommandProblem(error) }
        switch outcome.verdict {
        case .accepted(let result):
            return CommandReplyMessage(
                result, collection: collection, hasReadModel: hasReadModel, isNew: isNew, isReplay: outcome.isReplay)
        case .refused(let refusal):
            return CommandProblem(refusal).message.marked(isReplay: outcome.isReplay)
        }
    }
}

extension CommandReplyMessage {
    /// The answer about an aggregate, with links: to itself here, and to where the read model has it once it is as far.
    public init(
        _ result: CommandResult, collection: String, hasReadModel: Bool, isNew: Bool = false, isReplay: Bool = false
    ) {
        let path = collection + Self.encoded(result.aggregateID)
        var links = JSONWriter()
        links.beginObject()
        let status = hasReadModel ? [("status", "\(path)?min_version=\(result.version)")] : []
        for (name, target) in [("self", path)] + status {
            links.key(name)
            links.beginObject()
            links.member("href", target)
            links.endObject()
        }
        links.endObject()
        // The document is an object; its links come last in it.
        var body = result.body
        if body.last == UInt8(ascii: "}") {
            body.removeLast()
            body += Array(#","_links":"#.utf8) + links.finish() + [UInt8(ascii: "}")]
        }
        var headers: [Header] = [
            Header("Content-Type", "application/json"), Header("Cache-Control", "no-store"),
            Header("ETag", "\"\(result.version)\""),
        ]
        if isNew { headers.append(Header("Location", path)) }
        self.init(status: isNew ? 201 : 200, headers: headers, body: body)
        if isReplay { self = marked(isReplay: true) }
    }

    /// Says that the answer is an earlier request's.
    func marked(isReplay: Bool) -> CommandReplyMessage {
        guard isReplay else { return self }
        return CommandReplyMessage(
            status: status, headers: headers + [Header("Idempotency-Replayed", "true")], body: body)
    }

    /// A part of a path (RFC 3986): all but unreserved characters escaped.
    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.utf8.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return result
    }
}
