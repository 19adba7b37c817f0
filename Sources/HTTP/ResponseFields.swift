internal import Glibc
internal import HTTPTypes
internal import NIOCore
internal import Synchronization

/// Adds the header fields that every response has, and converts responses to Hummingbird's types.
struct ResponseFields: Sendable {
    /// The fields that are equal in all responses.
    private let fixed: [HTTPField]
    private let common: (@Sendable () -> [(name: String, value: String)])?
    private let clock = DateField()

    init(_ configuration: HTTPServerConfiguration) {
        fixed = [
            ("Content-Security-Policy", configuration.contentSecurityPolicy), ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
        ].map { Self.field($0, $1) }
        common = configuration.commonHeaders
    }

    func head(of response: HTTPResponse) -> HTTPTypes.HTTPResponse {
        var fields = Self.own(response.headers, room: fixed.count + 4)
        for header in common?() ?? [] {
            let field = Self.field(header.name, header.value)
            if !fields.contains(field.name) { fields.append(field) }
        }
        for field in fixed where !fields.contains(field.name) { fields.append(field) }
        fields.append(HTTPField(name: .date, value: clock.text))
        return HTTPTypes.HTTPResponse(status: .init(code: response.status), headerFields: fields)
    }

    /// Converts a response without a stream. Its body is empty if the status allows none.
    func whole(_ response: HTTPResponse) -> (head: HTTPTypes.HTTPResponse, body: ByteBuffer) {
        var head = head(of: response)
        var body = ByteBuffer()
        // These responses have no body, so they have no content length.
        guard response.status >= 200, response.status != 204, response.status != 304 else { return (head, body) }
        if case .bytes(let bytes) = response.body { body = ByteBuffer(bytes: bytes) }
        head.headerFields.append(HTTPField(name: .contentLength, value: String(body.readableBytes)))
        return (head, body)
    }

    static func own(_ headers: [(name: String, value: String)], room: Int = 0) -> HTTPFields {
        var fields = HTTPFields()
        fields.reserveCapacity(headers.count + room)
        for header in headers { fields.append(field(header.name, header.value)) }
        return fields
    }

    /// The names that most responses have. To check a name and write it in lower case takes longer than to find it.
    private static let frequent: [String: HTTPField.Name] = Dictionary(
        uniqueKeysWithValues: ["ETag", "Cache-Control", "Content-Type", "X-As-Of", "Link"].map { ($0, checked($0)) })

    private static func field(_ name: String, _ value: String) -> HTTPField {
        HTTPField(name: frequent[name] ?? checked(name), value: value)
    }

    private static func checked(_ name: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is not a header name") }
        return name
    }
}

/// The date in HTTP's format (RFC 9110, section 5.6.7). The text is created once a second.
private final class DateField: Sendable {
    private let last = Mutex<(seconds: Int, text: String)>((0, ""))

    var text: String {
        var seconds = time(nil)
        return last.withLock { last in
            guard last.seconds != seconds else { return last.text }
            var (parts, text) = (unsafe tm(), [CChar](repeating: 0, count: 32))
            // SAFETY: both calls use the values only while they run, and write no more than they hold. The process
            // keeps the locale "C".
            unsafe gmtime_r(&seconds, &parts)
            let count = unsafe strftime(&text, text.count, "%a, %d %b %Y %H:%M:%S GMT", &parts)
            last = (seconds, String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self))
            return last.text
        }
    }
}
