public import StreamCore
public import WireJSON

/// A cursor over the JSON of an event. It reads the values of events (ids, times, amounts, currencies), checks each
/// value when it reads it, and throws all errors as ``DecodeProblem``.
public struct FieldReader: ~Escapable {
    /// The maximum length of an id, in bytes of UTF-8. Ids become keys of records and rows, and an index entry in
    /// PostgreSQL has at most about 2,700 bytes.
    public static var maximumIdentityLength: Int { 255 }
    /// The maximum number of digits before the decimal point of an amount. With these limits the total of 700,000 lines
    /// of 2³¹ pieces fits into an `Int128`.
    public static var maximumIntegerDigits: Int { 15 }
    /// The maximum number of decimal places of an amount.
    public static var maximumFractionDigits: Int { 8 }

    /// The underlying reader, for values that this type has no method for.
    public var json: JSONReader

    @_lifetime(copy json)
    @inlinable
    public init(_ json: JSONReader) {
        self.json = json
    }

    @_lifetime(copy bytes)
    @inlinable
    public init(_ bytes: Span<UInt8>) throws(DecodeProblem) {
        do { self.init(try JSONReader(bytes)) } catch { throw DecodeProblem(error) }
    }

    // MARK: structure

    /// Enters an object, and returns the offset of its start.
    @inlinable
    public mutating func enterObject() throws(DecodeProblem) -> Int {
        do {
            try json.enterObject()
            return json.offset - 1
        } catch { throw DecodeProblem(error) }
    }

    @inlinable
    public mutating func nextKey() throws(DecodeProblem) -> JSONText? {
        do { return try json.nextKey() } catch { throw DecodeProblem(error) }
    }

    @inlinable
    public mutating func enterArray() throws(DecodeProblem) {
        do { try json.enterArray() } catch { throw DecodeProblem(error) }
    }

    @inlinable
    public mutating func nextElement() throws(DecodeProblem) -> Bool {
        do { return try json.nextElement() } catch { throw DecodeProblem(error) }
    }

    @discardableResult
    @inlinable
    public mutating func skip() throws(DecodeProblem) -> Range<Int> {
        do { return try json.skipValue() } catch { throw DecodeProblem(error) }
    }

    @inlinable
    public mutating func finish() throws(DecodeProblem) {
        do { try json.finish() } catch { throw DecodeProblem(error) }
    }

    @inlinable @inline(__always)
    public func matches(_ key: JSONText, _ name: StaticString) -> Bool {
        json.matches(key, name)
    }

    /// Rejects a field that occurs twice, because it is unclear which one is meant.
    ///
    /// - Parameters:
    ///   - isFirst: whether the field has not occurred before.
    ///   - key: the key of the field.
    @inlinable @inline(__always)
    public func once(_ isFirst: Bool, _ key: JSONText) throws(DecodeProblem) {
        guard isFirst else {
            throw DecodeProblem(.wrongShape, at: key.range.lowerBound, "the field occurs twice")
        }
    }

    /// The value of a required field.
    ///
    /// - Parameters:
    ///   - value: the value; nil if the field is missing.
    ///   - name: the name of the field.
    ///   - start: the start of the object that contains the field.
    /// - Throws: ``DecodeProblem`` if the field is missing.
    @inlinable @inline(__always)
    public static func required<T>(
        _ value: T?, _ name: StaticString, in start: Int
    ) throws(DecodeProblem) -> T {
        guard let value else { throw DecodeProblem(missing: name.description, in: start) }
        return value
    }

    // MARK: values

    @inlinable
    public mutating func rawText() throws(DecodeProblem) -> JSONText {
        do { return try json.readText() } catch { throw DecodeProblem(error) }
    }

    /// Reads a text of any length. A NUL character is refused, because PostgreSQL cannot store it.
    @inlinable
    public mutating func text() throws(DecodeProblem) -> String {
        try string(of: rawText())
    }

    /// Reads a null if it is next. Otherwise returns false, and the cursor stays before the value.
    @inlinable
    public mutating func isNull() throws(DecodeProblem) -> Bool {
        do { return try json.readNull() } catch { throw DecodeProblem(error) }
    }

    @inlinable
    public mutating func boolean() throws(DecodeProblem) -> Bool {
        do { return try json.readBool() } catch { throw DecodeProblem(error) }
    }

    /// Reads a text that nothing depends on. Returns nil if the value is not a text or PostgreSQL cannot store the
    /// text, because such a field must not stop an event.
    public mutating func incidentalText() throws(DecodeProblem) -> String? {
        guard try kind() == .string else {
            try skip()
            return nil
        }
        let text = try rawText()
        return try? string(of: text)
    }

    /// The kind of the next value.
    @inlinable
    public mutating func kind() throws(DecodeProblem) -> JSONKind {
        do { return try json.peek() } catch { throw DecodeProblem(error) }
    }

    /// Reads the id of an aggregate, a customer or a product.
    public mutating func identity() throws(DecodeProblem) -> String {
        let text = try rawText()
        let identity = try string(of: text)
        guard (1...Self.maximumIdentityLength).contains(identity.utf8.count) else {
            throw invalid(text, "an id must have 1–255 bytes")
        }
        return identity
    }

    public mutating func eventID() throws(DecodeProblem) -> EventID {
        let text = try rawText()
        let id = text.hasEscapes ? EventID(try string(of: text)) : EventID(utf8: json.span(of: text.range))
        guard let id else { throw invalid(text, "expected a UUID") }
        return id
    }

    public mutating func timestamp() throws(DecodeProblem) -> Timestamp {
        let text = try rawText()
        let decoded = text.hasEscapes ? try string(of: text) : nil
        do {
            if let decoded { return try Timestamp(parsing: decoded.utf8Span.span) }
            return try Timestamp(parsing: json.span(of: text.range))
        } catch { throw invalid(text, error.description) }
    }

    public mutating func currency() throws(DecodeProblem) -> Currency {
        let text = try rawText()
        let currency = text.hasEscapes ? Currency(try string(of: text)) : Currency(utf8: json.span(of: text.range))
        guard let currency else { throw invalid(text, "expected three upper-case letters") }
        return currency
    }

    /// Reads an integer. It may be written as `1.0` or `1e3`, because languages without integers write them so.
    public mutating func integer() throws(DecodeProblem) -> Int64 {
        do { return try json.readInt64() } catch {
            if error.code == .notAnInteger, let value = wholeNumber(in: error.offset..<json.offset) { return value }
            throw DecodeProblem(error)
        }
    }

    private func wholeNumber(in digits: Range<Int>) -> Int64? {
        guard let number = try? DecimalAmount(utf8: json.span(of: digits)).normalized, number.scale == 0 else {
            return nil
        }
        return Int64(exactly: number.coefficient)
    }

    /// Reads an amount, written as a number or as a string that contains one.
    public mutating func amount() throws(DecodeProblem) -> DecimalAmount {
        let range: Range<Int>
        do {
            range = try json.peek() == .string ? json.readText().range : json.readNumber()
        } catch { throw DecodeProblem(error) }
        let parsed: DecimalAmount
        do {
            parsed = try DecimalAmount(utf8: json.span(of: range))
        } catch {
            let detail = error == .outOfRange ? "the amount has too many digits" : "expected a decimal number"
            throw DecodeProblem(.invalidValue, at: range.lowerBound, detail)
        }
        let amount = parsed.scale <= Self.maximumFractionDigits ? parsed : parsed.normalized
        guard amount.scale <= Self.maximumFractionDigits,
            amount.coefficient.magnitude < 1_000_000_000_000_000 || amount.integerDigits <= Self.maximumIntegerDigits
        else {
            throw DecodeProblem(
                .invalidValue, at: range.lowerBound,
                "an amount must have at most 15 digits before and 8 after the point")
        }
        return amount
    }

    /// Decodes a text.
    public func string(of text: JSONText) throws(DecodeProblem) -> String {
        let string: String
        do { string = try json.string(of: text) } catch { throw DecodeProblem(error) }
        // Only an escape can produce a NUL, and PostgreSQL's `text` cannot store one.
        if text.hasEscapes, string.utf8.contains(0) { throw invalid(text, "the text contains a NUL character") }
        return string
    }

    private func invalid(_ text: JSONText, _ detail: String) -> DecodeProblem {
        DecodeProblem(.invalidValue, at: text.range.lowerBound, detail)
    }
}
