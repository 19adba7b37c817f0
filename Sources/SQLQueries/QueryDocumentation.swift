internal import StreamCore
internal import WireJSON

/// Describes queries in OpenAPI 3.1.
public enum QueryDocumentation {
    /// The path of a query.
    public static func path(_ name: String) -> String { "/v1/q/\(name)" }

    /// Adds the paths of queries to the description of an API.
    ///
    /// - Parameter base: a document whose member `paths` is a non-empty object.
    public static func document(_ base: [UInt8], with queries: [SQLQuery]) -> [UInt8] {
        let paths = Array("\"paths\": {".utf8)
        guard !queries.isEmpty, let start = base.indices.first(where: { base[$0...].starts(with: paths) }) else {
            return base
        }
        var document = Array(base[..<(start + paths.count)])
        for query in queries.sorted(by: { $0.name < $1.name }) {
            document += Array("\"\(path(query.name))\":".utf8) + item(query, at: nil) + [UInt8(ascii: ",")]
            guard let path = query.path else { continue }
            document += Array("\"\(path.template)\":".utf8) + item(query, at: path) + [UInt8(ascii: ",")]
        }
        return document + base[(start + paths.count)...]
    }

    /// - Parameter path: the query's own path; nil for the path by name.
    private static func item(_ query: SQLQuery, at path: QueryPath?) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("get")
        writer.beginObject()
        writer.key("operationId")
        writer.string((path == nil ? "query:" : "path:") + query.name)
        let lines = query.description.split(separator: ".", maxSplits: 1)
        writer.key("summary")
        writer.string(lines.first.map(String.init) ?? query.name)
        writer.key("description")
        writer.string(query.description)
        writer.key("parameters")
        writer.beginArray()
        let inPath = Set(path?.parameters ?? [])
        for parameter in query.parameters { write(parameter, isInPath: inPath.contains(parameter.name), &writer) }
        writeCommon(query, &writer)
        writer.endArray()
        writer.key("responses")
        writeResponses(query, &writer)
        writer.endObject()
        writer.endObject()
        return writer.finish()
    }

    // MARK: parameters

    private static func write(_ parameter: QueryParameter, isInPath: Bool, _ writer: inout JSONWriter) {
        begin(
            parameter.name, in: isInPath ? "path" : "query", parameter.description,
            isRequired: isInPath || parameter.isRequired, &writer)
        if parameter.isList {
            writer.key("style")
            writer.string("form")
            writer.key("explode")
            writer.bool(true)
        }
        writer.key("schema")
        if parameter.isList {
            writer.beginObject()
            member("type", "array", &writer)
            writer.key("maxItems")
            writer.number(Int64(parameter.bounds.count))
            writer.key("items")
            writeSchema(parameter, isInPath: false, &writer)
            writer.endObject()
        } else {
            writeSchema(parameter, isInPath: isInPath, &writer)
        }
        writer.endObject()
    }

    private static func begin(
        _ name: String, in place: String = "query", _ description: String, isRequired: Bool,
        _ writer: inout JSONWriter
    ) {
        writer.beginObject()
        member("name", name, &writer)
        member("in", place, &writer)
        writer.key("required")
        writer.bool(isRequired)
        if !description.isEmpty { member("description", description, &writer) }
    }

    private static func member(_ key: String, _ text: String, _ writer: inout JSONWriter) {
        writer.key(key)
        writer.string(text)
    }

    private static func writeSchema(_ parameter: QueryParameter, isInPath: Bool, _ writer: inout JSONWriter) {
        writer.beginObject()
        switch parameter.kind {
        case .text:
            member("type", "string", &writer)
            if isInPath {
                // A path with an empty part is another path.
                writer.key("minLength")
                writer.number(Int64(1))
            }
            writer.key("maxLength")
            writer.number(Int64(parameter.bounds.length))
            member("pattern", "^[^\\u0000-\\u001f\\u007f]*$", &writer)
        case .integer:
            member("type", "integer", &writer)
            for (key, bound) in [("minimum", parameter.bounds.min), ("maximum", parameter.bounds.max)] {
                guard let bound else { continue }
                writer.key(key)
                writer.raw(bound)
            }
        case .decimal:
            member("type", "string", &writer)
            let sign = parameter.bounds.min.flatMap(SignedDecimal.init).map { !$0.isNegative } ?? false ? "" : "-?"
            member("pattern", "^\(sign)[0-9]{1,18}(\\.[0-9]{1,10})?$", &writer)
        case .boolean: member("type", "boolean", &writer)
        case .date:
            member("type", "string", &writer)
            member("format", "date", &writer)
        case .timestamp:
            writer.key("oneOf")
            writer.beginArray()
            for format in ["date-time", "date"] {
                writer.beginObject()
                member("type", "string", &writer)
                member("format", format, &writer)
                writer.endObject()
            }
            writer.endArray()
        case .uuid:
            member("type", "string", &writer)
            member("format", "uuid", &writer)
        case .choice(let words):
            member("type", "string", &writer)
            writer.key("enum")
            writer.beginArray()
            for word in words { writer.string(word) }
            writer.endArray()
        }
        if !isInPath { writeDefault(parameter, &writer) }
        writer.endObject()
    }

    private static func writeDefault(_ parameter: QueryParameter, _ writer: inout JSONWriter) {
        guard let value = parameter.defaultValue else { return }
        writer.key("default")
        switch value {
        case .integer(let number): writer.number(number)
        case .boolean(let flag): writer.bool(flag)
        case .timestamp(let time): writer.string(time.description)
        default: writer.string(value.canonicalText)
        }
    }

    private static func writeCommon(_ query: SQLQuery, _ writer: inout JSONWriter) {
        begin("limit", "Maximum number of rows in the answer.", isRequired: false, &writer)
        writer.key("schema")
        writer.beginObject()
        member("type", "integer", &writer)
        for (key, number) in [("minimum", 1), ("maximum", query.maxLimit), ("default", query.defaultLimit)] {
            writer.key(key)
            writer.number(Int64(number))
        }
        writer.endObject()
        writer.endObject()
        if !query.order.isEmpty {
            begin(
                "cursor", "The value of next on the previous page. The other parameters must be the same.",
                isRequired: false, &writer)
            writer.key("schema")
            writer.beginObject()
            member("type", "string", &writer)
            writer.endObject()
            writer.endObject()
        }
        if query.versionColumn != nil {
            begin(
                "min_version", "Answer only with this version or a later one; Prefer: wait=SECONDS waits for it.",
                isRequired: false, &writer)
            writer.key("schema")
            writer.beginObject()
            member("type", "integer", &writer)
            writer.key("minimum")
            writer.number(Int64(1))
            writer.key("maximum")
            writer.number(Int64.max)
            writer.endObject()
            writer.endObject()
        }
    }

    // MARK: responses

    private static func writeResponses(_ query: SQLQuery, _ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("200")
        writer.beginObject()
        member("description", "The rows.", &writer)
        writeHeaders(&writer)
        writer.key("content")
        writer.beginObject()
        writer.key("application/json")
        writer.raw(answer(query))
        writer.endObject()
        writer.endObject()
        writer.key("304")
        writer.beginObject()
        member("description", "The client already has the current answer.", &writer)
        writeHeaders(&writer)
        writer.endObject()
        let problems = [
            ("400", "A parameter is malformed, unknown, missing or given twice. `errors` lists all problems."),
            ("401", "A bearer token is required."),
            ("421", "The Host header names another service, and this service does not require a token."),
            ("429", "The client sends too many requests. See Retry-After."),
            ("431", "The header fields are too large."),
            (
                "503",
                "The database does not answer, the service is overloaded, or the read model is behind. See Retry-After."
            ),
            ("504", "The query took too long."),
        ]
        for (status, description) in problems {
            writer.key(status)
            writer.beginObject()
            member("description", description, &writer)
            writeHeaders(&writer)
            writer.key("content")
            writer.raw("{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}")
            writer.endObject()
        }
        writer.endObject()
    }

    private static func writeHeaders(_ writer: inout JSONWriter) {
        writer.key("headers")
        writer.raw(
            """
            {"X-As-Of":{"description":"The time up to which the read models of the query show all committed events, or \
            `unknown`.","required":true,"schema":{"type":"string"}}}
            """)
    }

    private static func answer(_ query: SQLQuery) -> String {
        let end =
            query.order.isEmpty
            ? "\"more\":{\"type\":\"boolean\",\"description\":\"Whether rows were left out.\"}"
            : "\"next\":{\"type\":[\"string\",\"null\"],\"description\":\"The cursor of the next page.\"}"
        return """
            {"schema":{"type":"object","required":["rows","\(query.order.isEmpty ? "more" : "next")"],"properties":\
            {"rows":{"type":"array","maxItems":\(query.maxLimit),"items":{"type":"object"}},\(end)}}}
            """
    }
}
