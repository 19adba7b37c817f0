/// Decimals without an exponent or a sign: digits, and optionally a point and digits.
public enum PlainDecimal {
    /// - Returns: nil if the text has another form or too many digits.
    public static func canonical(_ text: String) -> String? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return nil }
        var fraction = parts.count == 2 ? parts[1] : ""
        guard parts[0].utf8.count <= 18, fraction.utf8.count <= 10 else { return nil }
        let whole = parts[0].drop { $0 == "0" }
        while fraction.last == "0" { fraction.removeLast() }
        return (whole.isEmpty ? "0" : String(whole)) + (fraction.isEmpty ? "" : "." + fraction)
    }

    /// Whether one canonical decimal is greater than another.
    public static func isGreater(_ left: String, than right: String) -> Bool {
        func parts(_ text: String) -> (whole: String, fraction: String) {
            let parts = text.split(separator: ".", maxSplits: 1)
            return (String(parts[0]), parts.count == 2 ? String(parts[1]) : "")
        }
        let (left, right) = (parts(left), parts(right))
        if left.whole.utf8.count != right.whole.utf8.count {
            return left.whole.utf8.count > right.whole.utf8.count
        }
        return (left.whole, left.fraction) > (right.whole, right.fraction)
    }
}
