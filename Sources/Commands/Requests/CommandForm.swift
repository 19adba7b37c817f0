public import Events
internal import StreamCore
public import WireJSON

/// Reads the body of a request as a JSON object. Unknown fields are errors, so that a misspelled field is not taken for
/// an omitted one.
public enum CommandForm {
    /// A value that breaks a rule of the domain and that the command's type cannot represent, for example a quantity
    /// beyond the range of integers or an invalid currency.
    public struct RuleBroken: Error, Sendable {
        public let refusal: Refusal

        public init(_ rejection: Rejection<some Rule>) {
            refusal = Refusal(rejection)
        }
    }

    /// Reads a body.
    ///
    /// - Parameter read: reads the value. It throws `DecodeProblem`, ``RuleBroken`` or ``CommandProblem``.
    public static func read<Value>(
        _ call: CommandCall, _ read: (inout FieldReader) throws -> Value
    ) throws(CommandProblem) -> Value {
        try requireJSON(call)
        do {
            if call.body.isEmpty {
                throw CommandProblem(
                    status: 400, "invalid-json", "The body is not JSON.", detail: "The request has no body.")
            }
            var fields = try FieldReader(call.body.span)
            let value = try read(&fields)
            try fields.finish()
            return value
        } catch let problem as CommandProblem {
            throw problem
        } catch let problem as DecodeProblem {
            throw CommandProblem(problem, in: call.body)
        } catch let broken as RuleBroken {
            throw CommandProblem(broken.refusal)
        } catch {
            throw CommandProblem(.failed)
        }
    }

    /// Checks that the body of a command without content is empty, or an object without fields.
    public static func requireEmpty(_ call: CommandCall) throws(CommandProblem) {
        if call.body.isEmpty { return }
        _ = try read(call) { fields in try object(&fields) { _, _ in false } }
    }

    // MARK: values

    /// Reads a text for people.
    ///
    /// - Parameter maximum: the maximum length in bytes of UTF-8.
    public static func text(_ fields: inout FieldReader, maximum: Int = 500) throws(DecodeProblem) -> String {
        let raw = try fields.rawText()
        let text = try fields.string(of: raw)
        guard (1...maximum).contains(text.utf8.count) else {
            throw DecodeProblem(.invalidValue, at: raw.range.lowerBound, "a text must have 1–\(maximum) bytes")
        }
        return text
    }

    /// Reads a currency.
    ///
    /// - Parameter rule: the domain's rule for currencies.
    public static func currency(_ fields: inout FieldReader, else rule: some Rule) throws -> Currency {
        guard let currency = Currency(try fields.text()) else {
            throw RuleBroken(Rejection(rule, "A currency must consist of three upper-case letters."))
        }
        return currency
    }

    /// Reads a number of pieces. The rules check that it is above zero.
    ///
    /// - Parameter rule: the domain's rule for quantities.
    public static func quantity(_ fields: inout FieldReader, else rule: some Rule) throws -> Int32 {
        guard let quantity = Int32(exactly: try fields.integer()) else {
            throw RuleBroken(Rejection(rule, "A quantity must be at most \(Int32.max)."))
        }
        return quantity
    }

    /// Reads a body with one required text.
    public static func text(_ call: CommandCall, _ name: StaticString) throws(CommandProblem) -> String {
        try read(call) { fields in
            var found: String?
            let start = try object(&fields) { key, fields in
                guard fields.matches(key, name) else { return false }
                found = try text(&fields)
                return true
            }
            return try FieldReader.required(found, name, in: start)
        }
    }

    private static func requireJSON(_ call: CommandCall) throws(CommandProblem) {
        guard let type = call.header("content-type") else { return }
        let name = type.prefix { $0 != ";" }.filter { $0 != " " }.lowercased()
        guard name == "application/json" else {
            throw CommandProblem(
                status: 415, "unsupported-media-type", "The body has an unsupported type.",
                detail: "Send the command as application/json.")
        }
    }

    /// Reads an object.
    ///
    /// - Parameter read: reads the value of a key. For an unknown key it reads nothing and returns false.
    /// - Returns: the position of the object's first byte.
    @discardableResult
    public static func object(
        _ fields: inout FieldReader, _ read: (JSONText, inout FieldReader) throws -> Bool
    ) throws -> Int {
        let start = try fields.enterObject()
        var seen: [String] = []
        while let key = try fields.nextKey() {
            let name = try fields.string(of: key)
            if seen.contains(name) { try fields.once(false, key) }
            seen.append(name)
            if try !read(key, &fields) {
                var problem = CommandProblem(
                    status: 422, "unknown-field", "A field is unknown.", detail: "The command has no such field.")
                problem.place = name.shortened(toBytes: 100)
                throw problem
            }
        }
        return start
    }
}
