internal import Postgres
public import StreamCore

/// A value of a parameter. It is sent to PostgreSQL separately, never in the text of the statement.
public enum QueryValue: Sendable, Hashable {
    case text(String)
    case integer(Int64)
    /// The canonical digits of the decimal.
    case decimal(String)
    case boolean(Bool)
    /// The client's text, and the days since 1970-01-01.
    case date(String, Int32)
    case timestamp(Timestamp)
    case uuid(EventID)

    /// A text that is equal for equal values.
    var canonicalText: String {
        switch self {
        case .text(let text): text
        case .integer(let number): String(number)
        case .decimal(let digits): digits
        case .boolean(let flag): flag ? "true" : "false"
        case .date(let text, _): text
        case .timestamp(let time): String(time.microseconds)
        case .uuid(let id): id.description
        }
    }
}

/// The argument of a parameter in one request.
public enum QueryArgument: Sendable, Hashable {
    /// NULL.
    case absent
    case one(QueryValue)
    case list([QueryValue])

    /// Adds the argument to a statement's parameters.
    func append(as kind: QueryParameter.Kind, isList: Bool, to parameters: inout Parameters) throws(PostgresError) {
        if isList { return try appendList(kind, &parameters) }
        let value: QueryValue? = if case .one(let value) = self { value } else { nil }
        switch (kind, value) {
        case (_, .text(let text)): parameters.append(text)
        case (_, .integer(let number)): parameters.append(number)
        case (_, .decimal(let digits)): try parameters.append(numeric: digits)
        case (_, .boolean(let flag)): parameters.append(flag)
        case (_, .date(_, let day)): parameters.append(day: day)
        case (_, .timestamp(let time)): parameters.append(time)
        case (_, .uuid(let id)): parameters.append(id)
        case (let kind, nil): parameters.appendNull(kind.type)
        }
    }

    private func appendList(_ kind: QueryParameter.Kind, _ parameters: inout Parameters) throws(PostgresError) {
        guard case .list(let values) = self else { return parameters.appendNull(kind.arrayType) }
        switch kind {
        case .text, .choice:
            var array = TextArray()
            for case .text(let text) in values { array.append(text) }
            parameters.append(array)
        case .integer:
            var array = Int64Array()
            for case .integer(let number) in values { array.append(number) }
            parameters.append(array)
        case .decimal:
            var array = NumericArray()
            for case .decimal(let digits) in values { try array.append(numeric: digits) }
            parameters.append(array)
        case .boolean:
            var array = BoolArray()
            for case .boolean(let flag) in values { array.append(flag) }
            parameters.append(array)
        case .date:
            var array = DateArray()
            for case .date(_, let day) in values { array.append(day: day) }
            parameters.append(array)
        case .timestamp:
            var array = TimestampArray()
            for case .timestamp(let time) in values { array.append(time) }
            parameters.append(array)
        case .uuid:
            var array = UUIDArray()
            for case .uuid(let id) in values { array.append(id) }
            parameters.append(array)
        }
    }

    /// A text that is equal for equal arguments. Lengths separate the parts.
    var canonicalText: String {
        func part(_ text: String) -> String { "\(text.utf8.count):\(text)" }
        return switch self {
        case .absent: "-"
        case .one(let value): part(value.canonicalText)
        case .list(let values): "[" + values.map { part($0.canonicalText) }.joined() + "]"
        }
    }
}

extension QueryParameter.Kind {
    var type: PostgresType {
        switch self {
        case .text, .choice: .text
        case .integer: .int8
        case .decimal: .numeric
        case .boolean: .bool
        case .date: .date
        case .timestamp: .timestamptz
        case .uuid: .uuid
        }
    }

    var arrayType: PostgresType {
        switch self {
        case .text, .choice: .textArray
        case .integer: .int8Array
        case .decimal: .numericArray
        case .boolean: .boolArray
        case .date: .dateArray
        case .timestamp: .timestamptzArray
        case .uuid: .uuidArray
        }
    }
}
