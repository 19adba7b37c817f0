/// A read model that is kept in versions: its name, and what makes the tables of one version.
public struct ReadModel: Sendable {
    /// The projection's name, `order-summary` and the like.
    public let name: String
    /// The number of the definition of the tables. A program runs the versions that were made by its own definition,
    /// so this is raised with every change of the tables that its statements depend on. nil where nothing is known but
    /// the name: then versions of any definition can be looked at, promoted and dropped, and none can be made.
    public let structure: Int?
    /// The only version that can be made and run, where the definition says which one it is; nil for any.
    public let number: Int?
    /// How the tables of a version are made, shown and dropped.
    public let tables: any VersionTables

    public init(name: String, structure: Int?, number: Int? = nil, tables: any VersionTables) {
        self.name = name
        self.structure = structure
        self.number = number
        self.tables = tables
    }

    /// A read model whose tables a script makes; see ``ScriptTables``.
    public init(name: String, structure: Int, script: String) {
        self.init(name: name, structure: structure, tables: ScriptTables(model: name, script: script))
    }
}
