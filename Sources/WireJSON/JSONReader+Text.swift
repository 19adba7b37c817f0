extension JSONReader {
    /// Borrows the bytes in `range` of the input.
    @_lifetime(copy self)
    @inlinable
    public func span(of range: Range<Int>) -> Span<UInt8> {
        bytes.extracting(range)
    }

    /// Whether `text` equals `name`. Compares bytes, and decodes the text only if it has escapes.
    ///
    /// - Parameter name: ASCII or UTF-8 with exactly the same code points. The text is not normalised.
    @inlinable
    public func matches(_ text: JSONText, _ name: StaticString) -> Bool {
        if text.hasEscapes { return decodedMatches(text, name) }
        return text.range.count == name.utf8CodeUnitCount && bytes.extracting(text.range).isEqual(to: name)
    }

    /// Whether `text` equals `name`, for names that are known only at run time.
    public func matches(_ text: JSONText, _ name: Span<UInt8>) -> Bool {
        if text.hasEscapes {
            guard let decoded = try? string(of: text) else { return false }
            return decoded.utf8Span.span.isEqual(to: name)
        }
        return bytes.extracting(text.range).isEqual(to: name)
    }

    @usableFromInline
    func decodedMatches(_ text: JSONText, _ name: StaticString) -> Bool {
        guard let decoded = try? string(of: text) else { return false }
        return decoded.utf8Span.span.isEqual(to: name)
    }

    /// Decodes `text`.
    ///
    /// - Throws: ``JSONError/Code/loneSurrogate`` if an escape is an unpaired surrogate.
    public func string(of text: JSONText) throws(JSONError) -> String {
        if text.hasEscapes {
            let decoded = try JSONEscape.decode(bytes, in: text.range)
            return String(decoding: decoded, as: UTF8.self)
        }
        // SAFETY: the pointer does not leave the closure, and the String copies the bytes.
        return unsafe bytes.extracting(text.range).withUnsafeBufferPointer { buffer in
            unsafe String(decoding: buffer, as: UTF8.self)
        }
    }
}

extension Span<UInt8> {
    /// Whether both spans contain the same bytes.
    public func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        for index in indices where self[index] != other[index] { return false }
        return true
    }

    /// Whether the span contains the bytes of `name`.
    @inlinable
    public func isEqual(to name: StaticString) -> Bool {
        guard count == name.utf8CodeUnitCount else { return false }
        for index in 0..<count {
            // SAFETY: `index` is below both counts, and the bytes of a StaticString are never freed.
            guard unsafe self[unchecked: index] == name.utf8Start[index] else { return false }
        }
        return true
    }
}
