internal import HTTP
internal import RequestValues
internal import StreamCore

/// The parameters of a request by name. It collects all problems, so that one response can contain them all.
struct QueryParameters {
    typealias Complaint = ParameterComplaint

    private(set) var complaints: [Complaint] = []
    private var values: [String: [String]] = [:]

    /// Longer names are cut when a response quotes them.
    private static let quotedNameLimit = 40

    /// - Parameters:
    ///   - query: names and values, decoded, in their order.
    ///   - names: parameters that may be given once.
    ///   - repeatable: parameters that may be given several times.
    init(_ query: [(name: String, value: String)], names: [String], repeatable: [String] = []) {
        for (name, value) in query {
            if names.contains(name) {
                if values[name] != nil { complain(name, "is given more than once") }
                values[name] = [value]
            } else if repeatable.contains(name) {
                values[name, default: []].append(value)
            } else {
                let quoted = String(name.unicodeScalars.prefix(Self.quotedNameLimit).map { Character($0) })
                complain(
                    quoted, "is not a parameter of this resource; the parameters are: \(Self.list(names + repeatable))")
            }
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "none" : names.joined(separator: ", ")
    }

    mutating func complain(_ parameter: String, _ detail: String) {
        if complaints.count < 16 { complaints.append(Complaint(parameter: parameter, detail: detail)) }
    }

    /// - Throws: a problem with all complaints, if there are any.
    func check() throws(Problem) {
        if !complaints.isEmpty { throw Problems.invalidParameters(complaints) }
    }

    // MARK: values

    /// The unchanged value; nil if the parameter is not given.
    func text(_ name: String) -> String? { values[name]?.first }

    /// All values of a repeatable parameter. A comma also separates values.
    func list(_ name: String) -> [String] {
        (values[name] ?? []).flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    }

    /// An id: a text of limited length without control characters.
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

    /// A time by RFC 3339, or a date, which stands for its beginning in UTC.
    mutating func instant(_ name: String) -> Timestamp? {
        guard let value = text(name) else { return nil }
        if let instant = Timestamp(value) ?? (value.utf8.count == 10 ? Timestamp(value + "T00:00:00Z") : nil) {
            return instant
        }
        complain(name, "must be a time such as 2026-05-04T10:00:00Z or a date such as 2026-05-04; write + as %2B")
        return nil
    }

    /// A decimal that is not negative, in its canonical form, without unnecessary zeros.
    mutating func amount(_ name: String) -> String? {
        guard let value = text(name) else { return nil }
        if let amount = PlainDecimal.canonical(value) { return amount }
        complain(name, "must be a decimal such as 19.90, with at most 18 digits before and 10 digits after the point")
        return nil
    }
}
