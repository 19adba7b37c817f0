/// A text that is compared, ordered and hashed by its bytes, like PostgreSQL's collation "C". Swift's strings are equal
/// if they look the same, so two ids that are spelled with different code points would become one.
public struct ExactText: Hashable, Sendable {
    public let text: String

    @inlinable
    public init(_ text: String) {
        self.text = text
    }

    @inlinable
    public static func == (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.count == right.text.utf8.count && compare(left.text, right.text) == 0
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        let bytes = text.utf8Span.span
        // SAFETY: the pointer does not leave the closure.
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    /// Compares bytes like `memcmp`: negative, zero or positive. If one text is the beginning of the other, it is less.
    @inlinable
    public static func compare(_ left: String, _ right: String) -> Int {
        let leftBytes = left.utf8Span.span
        let rightBytes = right.utf8Span.span
        for index in 0..<min(leftBytes.count, rightBytes.count) where leftBytes[index] != rightBytes[index] {
            return leftBytes[index] < rightBytes[index] ? -1 : 1
        }
        return leftBytes.count - rightBytes.count
    }
}

extension ExactText: Comparable {
    @inlinable
    public static func < (left: ExactText, right: ExactText) -> Bool { compare(left.text, right.text) < 0 }
}
