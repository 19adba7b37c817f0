internal import NIOCore

/// Writes the heads of responses: status line, the response's own headers, and those that every response has.
struct ResponseHeads: Sendable {
    /// How the end of a body is found (RFC 9112, section 6).
    enum Framing {
        case length(Int)
        case chunked
        /// The connection's end is the body's.
        case close
        /// There is no body, and nothing says how long it would be.
        case none
    }

    /// The same for all responses.
    private let fixed: String
    private let common: (@Sendable () -> [(name: String, value: String)])?

    init(_ configuration: HTTPServerConfiguration) {
        fixed = """
            Content-Security-Policy: \(configuration.contentSecurityPolicy)\r
            X-Content-Type-Options: nosniff\r
            Referrer-Policy: no-referrer\r
            Cross-Origin-Resource-Policy: same-origin\r

            """
        common = configuration.commonHeaders
    }

    /// - Parameter date: as ``HTTPDate`` writes it.
    func write(
        _ response: HTTPResponse, framing: Framing, isLast: Bool, date: String, into buffer: inout ByteBuffer
    ) {
        switch response.status {
        case 200: buffer.writeStaticString("HTTP/1.1 200 OK\r\n")
        case 304: buffer.writeStaticString("HTTP/1.1 304 Not Modified\r\n")
        default: buffer.writeString("HTTP/1.1 \(response.status) \(HTTPStatus.phrase(response.status))\r\n")
        }
        for header in response.headers { Self.write(header, into: &buffer) }
        for header in common?() ?? []
        where !response.headers.contains(where: { Self.isSame($0.name, header.name) }) {
            Self.write(header, into: &buffer)
        }
        switch framing {
        case .length(let length): buffer.writeString("Content-Length: \(length)\r\n")
        case .chunked: buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .close, .none: break
        }
        if isLast { buffer.writeStaticString("Connection: close\r\n") }
        buffer.writeStaticString("Date: ")
        buffer.writeString(date)
        buffer.writeStaticString("\r\n")
        buffer.writeString(fixed)
        buffer.writeStaticString("\r\n")
    }

    /// A value cannot end its header: control characters become spaces.
    private static func write(_ header: (name: String, value: String), into buffer: inout ByteBuffer) {
        buffer.writeString(header.name)
        buffer.writeStaticString(": ")
        if header.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) {
            buffer.writeString(header.value)
        } else {
            buffer.writeBytes(header.value.utf8.map { $0 < 0x20 || $0 == 0x7f ? 0x20 : $0 })
        }
        buffer.writeStaticString("\r\n")
    }

    /// Header names do not tell small letters from large ones.
    static func isSame(_ one: String, _ other: String) -> Bool {
        one.utf8.count == other.utf8.count && zip(one.utf8, other.utf8).allSatisfy { lower($0) == lower($1) }
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}

/// The time as HTTP writes it (RFC 9110, section 5.6.7).
enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter seconds: since 1970, UTC.
    static func text(_ seconds: Int) -> String {
        let (day, time) = (seconds / 86_400, seconds % 86_400)
        // Eras of 400 years that begin in March put the leap day last; after Howard Hinnant's "chrono-Compatible
        // Low-Level Date Algorithms".
        let sinceEra = day + 719_468
        let dayOfEra = sinceEra % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let year = sinceEra / 146_097 * 400 + yearOfEra + (month >= 10 ? 1 : 0)
        return """
            \(days[day % 7]), \(two(dayOfMonth)) \(months[(month + 2) % 12]) \(year) \
            \(two(time / 3_600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT
            """
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
