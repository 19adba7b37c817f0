public import RequestValues

/// The checked parameters of one request. No text of the client becomes part of SQL.
public struct QueryRequest: Sendable, Hashable {
    /// The arguments of the query's parameters, in their order.
    public let arguments: [QueryArgument]
    public let limit: Int
    /// The position before the page; nil for the first page.
    public let position: QueryPosition?
    /// The minimum version of the first row.
    public let minVersion: Int64?

    /// All problems of a request's parameters.
    public struct Invalid: Error, Sendable {
        public let complaints: [ParameterComplaint]
    }

    /// Maximum length of a parameter's name in a message. Longer names are cut.
    private static let quotedNameLimit = 40

    /// - Parameters:
    ///   - parameters: decoded names and values, in their order.
    ///   - pathValues: the values that the path gives, by parameter. No other value may be given for these parameters.
    public init(
        _ parameters: [(name: String, value: String)], path pathValues: [String: String] = [:], of query: SQLQuery
    ) throws(Invalid) {
        var complaints: [ParameterComplaint] = []
        func complain(_ name: String, _ detail: String) {
            if complaints.count < 16 { complaints.append(ParameterComplaint(parameter: name, detail: detail)) }
        }
        let names = Self.names(of: query)
        var values = pathValues.mapValues { [$0] }
        for (name, value) in parameters {
            guard names.contains(name) else {
                let quoted = String(String.UnicodeScalarView(name.unicodeScalars.prefix(Self.quotedNameLimit)))
                complain(
                    quoted, "is not a parameter of this query; the parameters are: \(names.joined(separator: ", "))")
                continue
            }
            if pathValues[name] != nil {
                complain(name, "is given by the path")
                continue
            }
            values[name, default: []].append(value)
        }
        var arguments: [QueryArgument] = []
        for parameter in query.parameters {
            do throws(QueryParameter.Refusal) {
                arguments.append(try Self.argument(parameter, values[parameter.name] ?? []))
            } catch {
                complain(parameter.name, error.detail)
            }
        }
        func one(_ name: String, _ range: ClosedRange<Int64>) -> Int64? {
            guard let given = values[name] else { return nil }
            if given.count > 1 { complain(name, "is given more than once") }
            let isDigits = !given[0].isEmpty && given[0].utf8.allSatisfy { (48...57).contains($0) }
            guard isDigits, let number = Int64(given[0]), range.contains(number) else {
                complain(name, "must be an integer from \(range.lowerBound) to \(range.upperBound)")
                return nil
            }
            return number
        }
        limit = Int(one("limit", 1...Int64(query.maxLimit)) ?? Int64(query.defaultLimit))
        minVersion = one("min_version", 1...Int64.max)
        var position: QueryPosition?
        if let given = values["cursor"] {
            if given.count > 1 { complain("cursor", "is given more than once") }
            if complaints.isEmpty {
                position = QueryCursor.position(in: given[0], of: query, arguments)
                if position == nil { complain("cursor", "must be the cursor of a page of the same request") }
            }
        }
        guard complaints.isEmpty else { throw Invalid(complaints: complaints) }
        self.arguments = arguments
        self.position = position
    }

    private static func names(of query: SQLQuery) -> [String] {
        query.parameters.map(\.name) + ["limit"] + (query.order.isEmpty ? [] : ["cursor"])
            + (query.versionColumn == nil ? [] : ["min_version"])
    }

    private static func argument(
        _ parameter: QueryParameter, _ given: [String]
    ) throws(QueryParameter.Refusal) -> QueryArgument {
        if given.isEmpty {
            if parameter.isRequired { throw QueryParameter.Refusal(detail: "is required") }
            return parameter.defaultValue.map { .one($0) } ?? .absent
        }
        if parameter.isList {
            if given.count > parameter.bounds.count {
                throw QueryParameter.Refusal(detail: "must not be given more than \(parameter.bounds.count) times")
            }
            var values: [QueryValue] = []
            for text in given { values.append(try parameter.value(of: text)) }
            return .list(values)
        }
        if given.count > 1 { throw QueryParameter.Refusal(detail: "is given more than once") }
        return .one(try parameter.value(of: given[0]))
    }

    /// A text that is equal for requests with the same answer.
    public var canonicalText: String {
        let position = position?.keys.map { "\($0.utf8.count):\($0)" }.joined() ?? "-"
        return arguments.map(\.canonicalText).joined(separator: ",") + ";\(limit);" + position
    }
}
