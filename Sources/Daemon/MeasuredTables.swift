/// The tables of which a daemon shows how many dead rows they hold.
public struct MeasuredTables: Sendable, Equatable {
    /// Tables by name, with a schema or in the search path. Those that do not exist are left out.
    public var names: [String]
    /// Names of schemas of which all tables are measured, as a query of one column; nil for none.
    public var schemas: String?

    public init(_ names: [String] = [], schemas: String? = nil) {
        self.names = names
        self.schemas = schemas
    }

    var isEmpty: Bool { names.isEmpty && schemas == nil }
}
