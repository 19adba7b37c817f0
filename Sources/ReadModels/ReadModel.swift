/// A read model with versions: its name, and the code that creates the tables of a version.
public struct ReadModel: Sendable {
    /// The projection's name, for example `order-summary`.
    public let name: String
    /// The number of the definition of the tables. A program runs only versions that were created by its own
    /// definition. Therefore this number must increase with every change of the tables that the program's statements
    /// depend on. It is nil if only the name is known. Versions of any definition can then be listed, promoted and
    /// dropped, but none can be created.
    public let structure: Int?
    /// The only version that can be created and run, if the definition specifies its number; nil for any.
    public let number: Int?
    /// Creates, shows and drops the tables of a version.
    public let tables: any VersionTables

    public init(name: String, structure: Int?, number: Int? = nil, tables: any VersionTables) {
        self.name = name
        self.structure = structure
        self.number = number
        self.tables = tables
    }

    /// Creates a read model whose tables are created by a script; see ``ScriptTables``.
    public init(name: String, structure: Int, script: String) {
        self.init(name: name, structure: structure, tables: ScriptTables(model: name, script: script))
    }
}
