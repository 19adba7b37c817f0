/// A text that is compared, ordered and hashed by its bytes, as PostgreSQL's collation "C" does it. Swift's own strings
/// are equal when they look the same.
struct ExactText: Hashable, Sendable, Comparable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    static func < (left: ExactText, right: ExactText) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    func hash(into hasher: inout Hasher) {
        let bytes = text.utf8Span.span
        // SAFETY: the pointer does not leave the closure.
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }
}
