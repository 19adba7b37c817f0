internal import StreamCore
internal import Traces
internal import WireJSON

/// A collector's answer to a batch of spans, and its meaning.
///
/// The source is the OTLP specification: OTLP/HTTP Response, Retryable Response Codes, and Partial Success.
struct CollectorAnswer: Sendable {
    /// The collector refused the batch, and will always refuse it.
    struct Refused: Error, Equatable, CustomStringConvertible {
        let status: Int

        var description: String {
            "the collector answered \(status)" + ((300..<400).contains(status) ? ": redirects are not followed" : "")
        }
    }

    var status: Int
    /// The header `Retry-After`.
    var retryAfter: String?
    /// Means something only if the batch was accepted.
    var body: [UInt8] = []

    private static let retryable: Set<Int> = [429, 502, 503, 504]
    /// Maximum number of characters of the collector's message that are logged.
    private static let maxMessage = 300

    var isAccepted: Bool { (200..<300).contains(status) }

    /// - Returns: the spans that the collector refused although it accepted the batch.
    /// - Throws: `TransientExportError` if the batch may be sent again, otherwise ``Refused``.
    func rejection() throws -> SpanRejection? {
        if isAccepted { return partialSuccess }
        guard Self.retryable.contains(status) else { throw Refused(status: status) }
        throw TransientExportError("the collector answered \(status)", retryAfter: delay(now: .now))
    }

    /// The meaning of `Retry-After` (RFC 9110, 10.2.3): a number of seconds, or a date.
    func delay(now: Timestamp) -> Duration? {
        guard let retryAfter else { return nil }
        if retryAfter.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return Int64(retryAfter).map { .seconds($0) }
        }
        guard let date = Self.date(retryAfter) else { return nil }
        return .microseconds(max(0, date.microseconds - now.microseconds))
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the format that senders must use (RFC 9110, 5.6.7).
    private static func date(_ text: String) -> Timestamp? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT",
            let month = months.firstIndex(where: { $0 == parts[2] })
        else { return nil }
        let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
        return Timestamp("\(parts[3])-\(number)-\(parts[1])T\(parts[4])Z")
    }

    /// `partialSuccess` of an `ExportTraceServiceResponse`. A body that is none has no rejections.
    private var partialSuccess: SpanRejection? {
        guard let (spans, message) = try? Self.readPartialSuccess(body), spans > 0 else { return nil }
        return SpanRejection(spans: spans, message: String(message.prefix(Self.maxMessage)))
    }

    private static func readPartialSuccess(_ body: [UInt8]) throws(JSONError) -> (spans: Int, message: String) {
        var (spans, message) = (0, "")
        var reader = try JSONReader(body.span)
        try reader.enterObject()
        while let key = try reader.nextKey() {
            guard reader.matches(key, "partialSuccess") else {
                _ = try reader.skipValue()
                continue
            }
            try reader.enterObject()
            while let key = try reader.nextKey() {
                if reader.matches(key, "rejectedSpans") {
                    // 64-bit integers are text in the JSON of protocol buffers, but readers must take both.
                    let isText = try reader.peek() == .string
                    spans = isText ? Int(try reader.readString()) ?? 0 : Int(try reader.readInt64())
                } else if reader.matches(key, "errorMessage") {
                    message = try reader.readString()
                } else {
                    _ = try reader.skipValue()
                }
            }
        }
        return (spans, message)
    }
}
