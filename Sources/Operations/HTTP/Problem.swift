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
        self.title = title ?? HTTPStatus.phrase(status)
        self.status = status
        self.detail = detail
        self.members = members
        self.headers = headers
    }

    /// The response that tells it.
    public var response: HTTPResponse {
        var json: [UInt8] = []
        json.reserveCapacity(128 + (detail?.utf8.count ?? 0))
        json.append(contentsOf: #"{"type":"#.utf8)
        Self.append(type, to: &json)
        json.append(contentsOf: #","title":"#.utf8)
        Self.append(title, to: &json)
        json.append(contentsOf: #","status":"#.utf8)
        json.append(contentsOf: String(status).utf8)
        if let detail {
            json.append(contentsOf: #","detail":"#.utf8)
            Self.append(detail, to: &json)
        }
        for member in members {
            json.append(UInt8(ascii: ","))
            Self.append(member.name, to: &json)
            json.append(UInt8(ascii: ":"))
            json.append(contentsOf: member.json)
        }
        json.append(UInt8(ascii: "}"))
        let own = [
            (name: "Content-Type", value: "application/problem+json"), (name: "Cache-Control", value: "no-store"),
        ]
        return HTTPResponse(status: status, headers: own + headers, body: .bytes(json))
    }

    /// A JSON string of the text (RFC 8259, section 7).
    private static func append(_ text: String, to json: inout [UInt8]) {
        json.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                json.append(UInt8(ascii: "\\"))
                json.append(byte)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                json.append(contentsOf: (digits.utf8.count == 1 ? #"\u000"# : #"\u00"#).utf8)
                json.append(contentsOf: digits.utf8)
            default: json.append(byte)
            }
        }
        json.append(UInt8(ascii: "\""))
    }
}

/// The status codes that this server and its handlers use (RFC 9110, section 15, and RFC 6585).
enum HTTPStatus {
    static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        default: "Status \(status)"
        }
    }
}
