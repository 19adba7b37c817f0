/// The place of a string in the input, without the quotes. It is not a copy of the string.
public struct JSONText: Hashable, Sendable {
    /// The bytes between the quotes.
    public let range: Range<Int>
    /// Whether the bytes contain `\` escapes, so that they must be decoded.
    public let hasEscapes: Bool

    @inlinable
    public init(range: Range<Int>, hasEscapes: Bool) {
        self.range = range
        self.hasEscapes = hasEscapes
    }
}

/// The kind of a value, determined by its first byte.
public enum JSONKind: Hashable, Sendable {
    case object, array, string, number, boolean, null
}
