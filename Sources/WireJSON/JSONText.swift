/// Where a string stands in the input, quotes excluded, without a copy of it.
public struct JSONText: Hashable, Sendable {
    /// The bytes between the quotes.
    public let range: Range<Int>
    /// Whether the bytes contain `\` and so are not yet the text itself.
    public let hasEscapes: Bool

    @inlinable
    public init(range: Range<Int>, hasEscapes: Bool) {
        self.range = range
        self.hasEscapes = hasEscapes
    }
}

/// What a value is, by its first byte.
public enum JSONKind: Hashable, Sendable {
    case object, array, string, number, boolean, null
}
