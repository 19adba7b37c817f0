/// A read model that is kept in versions: its name, and what makes the tables of one version.
public struct ReadModel: Sendable {
    /// The projection's name, `order-summary` and the like.
    public let name: String
    /// The number of the definition of the tables. A program runs the versions that were made by its own definition,
    /// so this is raised with every change of ``script`` that its statements depend on.
    public let structure: Int
    /// Makes the tables, types and views of a version, under names without a number, in the first schema of the search
    /// path. Its views are what readers see of the live version, under the same names.
    public let script: String

    public init(name: String, structure: Int, script: String) {
        self.name = name
        self.structure = structure
        self.script = script
    }
}
