internal import NIOHTTP1
internal import WireJSON

/// An error as clients see it: problem details in JSON (RFC 9457, `application/problem+json`).
///
/// A handler throws it. Anything else that a handler throws becomes a 500 that tells nothing.
public struct Problem: Error, Sendable {
    /// A URI reference that names the kind of problem; `about:blank` when the status says it all.
    public var type: String
    /// What kind of problem it is, the same each time.
    public var title: String
    public var status: Int
    /// What is wrong this time.
    public var detail: String?
    /// More members, each with its value as JSON.
    public var members: [(name: String, json: [UInt8])]
    public var headers: [(name: String, value: String)]

    /// - Parameter title: the status's own phrase by default.
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

    /// The response that tells it.
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
