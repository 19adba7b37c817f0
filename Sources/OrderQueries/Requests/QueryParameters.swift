internal import Operations
internal import StreamCore

/// The parameters of a request by their names. Everything that is wrong with them is collected, and told at once.
struct QueryParameters {
    /// What is wrong with one parameter.
    struct Complaint: Hashable, Sendable {
        let parameter: String
        let detail: String
    }

    private(set) var complaints: [Complaint] = []
    private var values: [String: [String]] = [:]

    /// Names longer than this are cut when they are quoted back.
    private static let quotedNameLimit = 40

    /// - Parameters:
    ///   - query: names and values, decoded, in their order.
    ///   - names: those that may be given once.
    ///   - repeatable: those that may be given several times.
    init(_ query: [(name: String, value: String)], names: [String], repeatable: [String] = []) {
        for (name, value) in query {
            if names.contains(name) {
                if values[name] != nil { complain(name, "is given more than once") }
                values[name] = [value]
            } else if repeatable.contains(name) {
                values[name, default: []].append(value)
            } else {
                let quoted = String(name.unicodeScalars.prefix(Self.quotedNameLimit).map { Character($0) })
                complain(quoted, "is no parameter of this resource; there are: \(Self.list(names + repeatable))")
            }
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.joined(separator: ", ")
    }

    mutating func complain(_ parameter: String, _ detail: String) {
        if complaints.count < 16 { complaints.append(Complaint(parameter: parameter, detail: detail)) }
    }

    /// - Throws: the problem of all complaints; nothing without any.
    func check() throws(Problem) {
        if !complaints.isEmpty { throw Problems.invalidParameters(complaints) }
    }

    // MARK: values

    /// The value as it is; nil when the parameter is not given.
    func text(_ name: String) -> String? { values[name]?.first }

    /// All values of a repeatable parameter, also those joined by commas.
    func list(_ name: String) -> [String] {
        (values[name] ?? []).flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    }

    /// An identity: any text of a sensible length without control characters.
    mutating func identifier(_ name: String) -> String? {
        guard let value = text(name) else { return nil }
        if let problem = Identifier.problem(of: value) { complain(name, problem) }
        return value
    }

    /// An integer of decimal digits within a range.
    mutating func integer(_ name: String, in range: ClosedRange<Int64>) -> Int64? {
        guard let value = text(name) else { return nil }
        let isDigits = !value.isEmpty && value.utf8.allSatisfy { (48...57).contains($0) }
        guard isDigits, let number = Int64(value), range.contains(number) else {
            complain(name, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// `true` or `false`.
    mutating func flag(_ name: String) -> Bool {
        switch text(name) {
        case nil, "false": return false
        case "true": return true
        default:
            complain(name, "must be true or false")
            return false
        }
    }

    /// One of a few words.
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String, default defaultValue: Choice
    ) -> Choice where Choice.RawValue == String {
        guard let value = text(name) else { return defaultValue }
        if let choice = Choice(rawValue: value) { return choice }
        complain(name, "must be one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        return defaultValue
    }

    /// An instant by RFC 3339, or a date, which means its first instant in UTC.
    mutating func instant(_ name: String) -> Timestamp? {
        guard let value = text(name) else { return nil }
        if let instant = Timestamp(value) ?? (value.utf8.count == 10 ? Timestamp(value + "T00:00:00Z") : nil) {
            return instant
        }
        complain(name, "must be a time as 2026-05-04T10:00:00Z or a date as 2026-05-04; write + as %2B")
        return nil
    }

    /// A decimal that is not negative, in a form of its own: no zeros that say nothing.
    mutating func amount(_ name: String) -> String? {
        guard let value = text(name) else { return nil }
        if let amount = PlainDecimal.canonical(value) { return amount }
        complain(name, "must be a decimal such as 19.90, of 18 digits before and 10 after the point at most")
        return nil
    }
}

/// What orders and customers are named by: text that others chose.
enum Identifier {
    /// Unicode scalars, as JSON Schema counts them.
    static let maxLength = 255

    /// What is wrong with it; nil when nothing is.
    static func problem(of text: String) -> String? {
        if text.isEmpty { return "must not be empty" }
        // What has more bytes than so many scalars can have is not counted.
        if text.utf8.count > 4 * maxLength || text.unicodeScalars.count > maxLength {
            return "must not have more than \(maxLength) characters"
        }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { return "must not have control characters" }
        return nil
    }
}

/// Decimals as people write them: digits, and perhaps a point and digits.
enum PlainDecimal {
    /// - Returns: nil when the text is anything else or has too many digits.
    static func canonical(_ text: String) -> String? {
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
    static func isGreater(_ left: String, than right: String) -> Bool {
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
