/// The tables whose dead rows a daemon reports as metrics.
public struct MeasuredTables: Sendable, Equatable {
    /// The names of tables, with a schema or in the search path. Tables that do not exist are left out.
    public var names: [String]
    /// A query that returns the names of schemas in one column. All their tables are measured; nil for none.
    public var schemas: String?

    public init(_ names: [String] = [], schemas: String? = nil) {
        self.names = names
        self.schemas = schemas
    }

    var isEmpty: Bool { names.isEmpty && schemas == nil }
}
