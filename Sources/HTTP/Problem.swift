internal import NIOHTTP1
internal import WireJSON

/// An error in the form that clients receive: problem details in JSON (RFC 9457, `application/problem+json`).
///
/// Handlers throw it. Any other error of a handler becomes status 500 without details.
public struct Problem: Error, Sendable {
    /// A URI reference that identifies the kind of the problem; `about:blank` if the status is sufficient.
    public var type: String
    /// The title of this kind of problem, which is always the same.
    public var title: String
    public var status: Int
    /// The description of this occurrence.
    public var detail: String?
    /// Additional members, each with its JSON value.
    public var members: [(name: String, json: [UInt8])]
    public var headers: [(name: String, value: String)]

    /// - Parameter title: the reason phrase of the status by default.
    public init(
        status: Int, type: String = "about:blank", title: String? = nil, detail: String? = nil,
        members: [(name: String, json: [UInt8])] = [], headers: [(name: String, value: String)] = []
    ) {
        self.type = type
        self.title = title ?? HTTPResponseStatus(statusCode: status).reasonPhrase
        self.status = status
        self.detail = detail
        self.members = members
        self.headers = headers
    }

    /// The response with this problem.
    public var response: HTTPResponse {
        var json = JSONWriter(capacity: 256)
        json.beginObject()
        json.key("type")
        json.string(type)
        json.key("title")
        json.string(title)
        json.key("status")
        json.number(status)
        if let detail {
            json.key("detail")
            json.string(detail)
        }
        for member in members {
            json.key(member.name)
            json.raw(member.json.span)
        }
        json.endObject()
        let own = [
            (name: "Content-Type", value: "application/problem+json"), (name: "Cache-Control", value: "no-store"),
        ]
        return HTTPResponse(status: status, headers: own + headers, body: .bytes(json.finish()))
    }
}
