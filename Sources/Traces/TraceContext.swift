/// The place of a span in its trace, as services pass it on: W3C Trace Context, level 1.
public struct TraceContext: Hashable, Sendable {
    /// The id of the trace; never all zeros.
    public let traceID: TraceID
    /// The id of the span; never 0.
    public let spanID: UInt64
    public let flags: UInt8
    /// The header `tracestate`, unchanged: data of vendors that travels with the trace. Nil if there is none.
    public var state: String?

    /// 16 bytes, as two numbers.
    public struct TraceID: Hashable, Sendable {
        public let high: UInt64
        public let low: UInt64

        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        /// 32 hexadecimal digits.
        public var text: String { TraceText.hexadecimal(high) + TraceText.hexadecimal(low) }
    }

    /// The header's length in version 00. A header of a later version is at least as long.
    public static let textLength = 55
    /// The longest `tracestate` that every participant must pass on, in bytes. A longer one is dropped.
    public static let stateLimit = 512

    private static let sampled: UInt8 = 1
    /// The flags that are passed on: sampled, and random of level 2. Other flags are cleared.
    private static let knownFlags: UInt8 = 3
    private static let dash = UInt8(ascii: "-")

    public init(traceID: TraceID, spanID: UInt64, isSampled: Bool, state: String? = nil) {
        self.traceID = traceID
        self.spanID = spanID
        flags = isSampled ? Self.sampled : 0
        self.state = state
    }

    private init(traceID: TraceID, spanID: UInt64, flags: UInt8, state: String?) {
        self.traceID = traceID
        self.spanID = spanID
        self.flags = flags
        self.state = state
    }

    /// Reads a header `traceparent`, without allocating.
    ///
    /// - Returns: nil for an invalid header, which the standard tells receivers to ignore.
    public init?(traceparent text: Swift.Span<UInt8>) {
        guard text.count >= Self.textLength,
            let version = TraceText.number(text, 0..<2), version != 0xFF,
            version == 0 ? text.count == Self.textLength : text.count == Self.textLength || text[55] == Self.dash,
            text[2] == Self.dash, text[35] == Self.dash, text[52] == Self.dash,
            let high = TraceText.number(text, 3..<19), let low = TraceText.number(text, 19..<35), high | low != 0,
            let span = TraceText.number(text, 36..<52), span != 0,
            let flags = TraceText.number(text, 53..<55)
        else { return nil }
        traceID = TraceID(high: high, low: low)
        spanID = span
        self.flags = UInt8(truncatingIfNeeded: flags) & Self.knownFlags
    }

    /// Reads the headers of a request or a record.
    ///
    /// - Parameter state: the header `tracestate`. An invalid one is left out.
    public init?(traceparent: String, state: String? = nil) {
        self.init(traceparent: traceparent.utf8Span.span)
        if let state, (1...Self.stateLimit).contains(state.utf8.count),
            state.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        {
            self.state = state
        }
    }

    /// Whether the spans of the trace are recorded.
    public var isSampled: Bool { flags & Self.sampled != 0 }

    /// The header `traceparent`.
    public var traceparent: String {
        "00-\(traceID.text)-\(TraceText.hexadecimal(spanID))-0\(flags)"
    }

    /// The span's id as 16 hexadecimal digits.
    public var spanText: String { TraceText.hexadecimal(spanID) }

    /// The context of a child span.
    func child(spanID: UInt64) -> TraceContext {
        TraceContext(traceID: traceID, spanID: spanID, flags: flags, state: state)
    }
}

/// Hexadecimal digits of ids. The standard allows only lower case.
enum TraceText {
    private static let digits = Array("0123456789abcdef".utf8)

    /// 16 digits.
    static func hexadecimal(_ value: UInt64) -> String {
        // SAFETY: all 16 bytes are written.
        unsafe String(unsafeUninitializedCapacity: 16) { buffer in
            for index in 0..<16 {
                unsafe buffer[index] = digits[Int(value >> UInt64(60 - 4 * index) & 0xF)]
            }
            return 16
        }
    }

    /// - Parameter range: at most 16 digits.
    /// - Returns: nil if a character is not a digit.
    static func number(_ text: Swift.Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        for index in range {
            switch text[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(text[index] - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"):
                value = value << 4 | UInt64(text[index] - UInt8(ascii: "a") + 10)
            default: return nil
            }
        }
        return value
    }
}
