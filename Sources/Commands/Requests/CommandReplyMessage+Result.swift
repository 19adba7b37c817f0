internal import Events
internal import WireJSON

extension CommandBus {
    /// Sends the command of a request, and makes the answer from the result.
    ///
    /// - Parameters:
    ///   - source: the service's name, which the events contain.
    ///   - collection: the path of the collection, with a slash at its end.
    ///   - hasReadModel: whether query-service serves the aggregate under the same path.
    ///   - isNew: whether the command creates the aggregate. The answer is then 201 with its location.
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
    /// The answer with an aggregate and its links: to itself, and to the read model at a version that includes this
    /// command.
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
        // The document is an object. The links become its last member.
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

    /// Marks a replayed answer with a header.
    func marked(isReplay: Bool) -> CommandReplyMessage {
        guard isReplay else { return self }
        return CommandReplyMessage(
            status: status, headers: headers + [Header("Idempotency-Replayed", "true")], body: body)
    }

    /// Encodes a part of a path (RFC 3986): escapes all bytes except unreserved characters.
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
