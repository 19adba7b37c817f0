/// Why a value is not valid for a setting.
struct Rejection: Error {
    let text: String
    var suggestion: String?

    static func expected(_ kind: String, found value: SettingValue) -> Rejection {
        if case .text(let text) = value { return Rejection(text: "expected \(kind), found \"\(text)\"") }
        return Rejection(text: "expected \(kind), found \(value.kind)")
    }
}

/// Converts a value of a layer to the type of a setting. Text from the environment or from `--set` is parsed as that
/// type.
extension SettingValue {
    func string(check: (String) -> String?) throws(Rejection) -> String {
        let value: String
        switch self {
        case .text(let text): value = text
        case .string(let text): value = text
        default: throw .expected("a string", found: self)
        }
        if let problem = check(value) { throw Rejection(text: problem) }
        return value
    }

    func integer(in range: ClosedRange<Int>) throws(Rejection) -> Int {
        let value: Int
        switch self {
        case .integer(let number): value = number
        case .text(let text):
            guard let number = Int(text.filter { $0 != "_" }) else { throw .expected("an integer", found: self) }
            value = number
        default: throw .expected("an integer", found: self)
        }
        guard range.contains(value) else {
            let limit =
                range.upperBound == .max
                ? "less than \(TOMLText.integer(range.lowerBound))"
                : "outside the range \(TOMLText.integer(range.lowerBound)) to \(TOMLText.integer(range.upperBound))"
            throw Rejection(text: "\(TOMLText.integer(value)) is \(limit)")
        }
        return value
    }

    func number(in range: ClosedRange<Double>) throws(Rejection) -> Double {
        let value: Double
        switch self {
        case .float(let number): value = number
        case .integer(let number): value = Double(number)
        case .text(let text):
            guard let number = Double(text.filter { $0 != "_" }) else { throw .expected("a number", found: self) }
            value = number
        default: throw .expected("a number", found: self)
        }
        guard range.contains(value) else {
            throw Rejection(text: "\(value) is outside the range \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func boolean() throws(Rejection) -> Bool {
        switch self {
        case .boolean(let value): return value
        case .text("true"): return true
        case .text("false"): return false
        default: throw .expected("true or false", found: self)
        }
    }

    func strings() throws(Rejection) -> [String] {
        switch self {
        case .text(let text):
            return text.split(separator: ",").map { part in
                String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        case .array(let elements):
            var strings: [String] = []
            for element in elements {
                guard case .string(let string) = element else {
                    throw Rejection(text: "expected an array of strings, found \(element.kind) in it")
                }
                strings.append(string)
            }
            return strings
        default: throw .expected("an array of strings", found: self)
        }
    }
}
