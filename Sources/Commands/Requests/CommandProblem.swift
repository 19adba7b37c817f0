public import Events
internal import WireJSON

/// Why a request is not carried out, as clients see it (RFC 9457): one type for each rule, `/problems/<rule>`.
public struct CommandProblem: Error, Hashable, Sendable {
    public let status: Int
    /// The last part of the type.
    public let name: String
    public let title: String
    public let detail: String
    /// Where in the request it is: a path in the body or a header's name.
    public var place: String?
    public var currentVersion: Int64?
    public var retryAfterS: Int?

    public init(status: Int, _ name: String, _ title: String, detail: String) {
        self.status = status
        self.name = name
        self.title = title
        self.detail = detail
    }

    /// A refusal by a rule. What does not exist is 404, what the state does not allow now 409, what the command itself
    /// is wrong about 422.
    public init(_ refusal: Refusal) {
        let status =
            switch refusal.kind {
            case .notFound: 404
            case .conflict: 409
            case .invalid: 422
            }
        self.init(status: status, refusal.rule, refusal.summary, detail: refusal.detail)
    }

    /// A body that is no command: 400 for what is no JSON, 422 for JSON that says something else.
    public init(_ problem: DecodeProblem, in body: [UInt8]) {
        let error = problem.located(in: body.span)
        let (status, name, title) =
            switch error.errorClass {
            case .emptyValue, .invalidUTF8, .invalidJSON: (400, "invalid-json", "The body is not JSON.")
            case .wrongShape: (422, "wrong-type", "A field has another type.")
            case .missingField: (422, "missing-field", "A field is missing.")
            case .invalidValue, .invalidSequence, .unknownVersion: (422, "invalid-value", "A value is not usable.")
            }
        self.init(status: status, name, title, detail: error.detail)
        place = error.path
    }

    public init(_ failure: CommandFailure) {
        switch failure {
        case .versionMismatch(let current):
            self.init(
                status: 412, "version-mismatch", "It has another version.",
                detail: "If-Match names a version that it does not have. Read it again, then decide.")
            currentVersion = current
        case .keyReused:
            self.init(
                status: 422, "idempotency-key-reused", "The key belongs to another request.",
                detail: "An idempotency key was sent with another request before. Each request has a key of its own.")
        case .overloaded: self.init(later: "overloaded", "Too much is asked at once.", afterS: 1)
        case .deadlineExceeded:
            self.init(later: "deadline-exceeded", "The command did not have its turn in time.", afterS: 1)
        case .unavailable: self.init(later: "database-unavailable", "The database does not answer.", afterS: 2)
        case .stopped, .cancelled: self.init(later: "stopping", "The service stops.", afterS: 1)
        case .conflict:
            self.init(
                status: 409, "concurrent-change", "Others changed the same.",
                detail: "Others changed the same again and again. Nothing was done; it may be sent again.")
            retryAfterS = 1
        case .unknownOutcome:
            self.init(
                status: 503, "unknown-outcome", "Whether the command was carried out is not known.",
                detail: "Sent again with the same idempotency key, it is carried out if it was not.")
            retryAfterS = 2
        case .failed:
            self.init(status: 500, "internal-error", "The service failed.", detail: "Nothing was changed.")
        }
    }

    private init(later name: String, _ title: String, afterS: Int) {
        self.init(status: 503, name, title, detail: "Nothing was changed; it may be sent again.")
        retryAfterS = afterS
    }

    /// A part of the request that is not the body.
    public static func invalidRequest(_ name: String, _ detail: String, in place: String) -> CommandProblem {
        var problem = CommandProblem(status: 400, name, "The request is not valid.", detail: detail)
        problem.place = place
        return problem
    }

    /// The response that tells it.
    public var message: CommandReplyMessage {
        var writer = JSONWriter(capacity: 256)
        writer.beginObject()
        writer.member("type", "/problems/" + name)
        writer.member("title", title)
        writer.member("status", status)
        writer.member("detail", detail)
        writer.member("place", place)
        if let currentVersion { writer.member("currentVersion", currentVersion) }
        writer.endObject()
        var headers: [CommandReplyMessage.Header] = [
            .init("Content-Type", "application/problem+json"), .init("Cache-Control", "no-store"),
        ]
        if let retryAfterS { headers.append(.init("Retry-After", "\(retryAfterS)")) }
        if let currentVersion, currentVersion > 0 { headers.append(.init("ETag", "\"\(currentVersion)\"")) }
        return CommandReplyMessage(status: status, headers: headers, body: writer.finish())
    }
}
