public import Events
internal import WireJSON

/// The reason why a request was not carried out, for clients (RFC 9457). There is one type for each rule,
/// `/problems/<rule>`.
public struct CommandProblem: Error, Hashable, Sendable {
    public let status: Int
    /// The last part of the problem's type.
    public let name: String
    public let title: String
    public let detail: String
    /// The place in the request: a path in the body, or a header's name.
    public var place: String?
    public var currentVersion: Int64?
    public var retryAfterS: Int?

    public init(status: Int, _ name: String, _ title: String, detail: String) {
        self.status = status
        self.name = name
        self.title = title
        self.detail = detail
    }

    /// A refusal by a rule: 404 if the aggregate does not exist, 409 if the current state does not allow the command,
    /// 422 if the command itself is invalid.
    public init(_ refusal: Refusal) {
        let status =
            switch refusal.kind {
            case .notFound: 404
            case .conflict: 409
            case .invalid: 422
            }
        self.init(status: status, refusal.rule, refusal.summary, detail: refusal.detail)
    }

    /// An invalid body: 400 if it is not JSON, 422 if it is JSON with other content.
    public init(_ problem: DecodeProblem, in body: [UInt8]) {
        let error = problem.located(in: body.span)
        let (status, name, title) =
            switch error.errorClass {
            case .emptyValue, .invalidUTF8, .invalidJSON: (400, "invalid-json", "The body is not JSON.")
            case .wrongShape: (422, "wrong-type", "A field has the wrong type.")
            case .missingField: (422, "missing-field", "A field is missing.")
            case .invalidValue, .invalidSequence, .unknownVersion: (422, "invalid-value", "A value is invalid.")
            }
        self.init(status: status, name, title, detail: error.detail)
        place = error.path
    }

    public init(_ failure: CommandFailure) {
        switch failure {
        case .versionMismatch(let current):
            self.init(
                status: 412, "version-mismatch", "The version does not match.",
                detail: "The version in If-Match is not the current version. Read the resource again, then decide.")
            currentVersion = current
        case .keyReused:
            self.init(
                status: 422, "idempotency-key-reused", "The key belongs to another request.",
                detail: "The idempotency key was sent with another request before. Use a new key for each request.")
        case .overloaded: self.init(later: "overloaded", "The service is overloaded.", afterS: 1)
        case .deadlineExceeded:
            self.init(later: "deadline-exceeded", "The command's deadline passed before it was carried out.", afterS: 1)
        case .unavailable: self.init(later: "database-unavailable", "The database does not answer.", afterS: 2)
        case .stopped, .cancelled: self.init(later: "stopping", "The service is stopping.", afterS: 1)
        case .conflict:
            self.init(
                status: 409, "concurrent-change", "A concurrent change prevented the command.",
                detail: "Other requests changed the same data in all attempts. Nothing was done. Send it again.")
            retryAfterS = 1
        case .unknownOutcome:
            self.init(
                status: 503, "unknown-outcome", "It is unknown whether the command was carried out.",
                detail: "Send the request again with the same idempotency key. It is then carried out only once.")
            retryAfterS = 2
        case .failed:
            self.init(status: 500, "internal-error", "The service failed.", detail: "Nothing was changed.")
        }
    }

    private init(later name: String, _ title: String, afterS: Int) {
        self.init(status: 503, name, title, detail: "Nothing was changed. Send the request again later.")
        retryAfterS = afterS
    }

    /// An invalid part of the request other than the body.
    public static func invalidRequest(_ name: String, _ detail: String, in place: String) -> CommandProblem {
        var problem = CommandProblem(status: 400, name, "The request is not valid.", detail: detail)
        problem.place = place
        return problem
    }

    /// The response with this problem.
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
