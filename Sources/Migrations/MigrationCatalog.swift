/// The migrations that this program knows.
public struct MigrationCatalog: Sendable {
    /// The sets' names, sorted.
    public let sets: [String]
    private let migrations: [String: [Migration]]

    /// - Throws: ``MigrationError`` when the numbers of a set are not 1, 2, ….
    public init(_ all: [Migration]) throws(MigrationError) {
        let grouped = Dictionary(grouping: all, by: \.set).mapValues { $0.sorted { $0.number < $1.number } }
        for (set, migrations) in grouped {
            guard migrations.map(\.number) == Array(1...migrations.count) else {
                throw MigrationError(.invalidCatalog, "the migrations of set \(set) are not numbered 1, 2, …")
            }
        }
        migrations = grouped
        sets = grouped.keys.sorted()
    }

    /// This catalog and more files: a program's own.
    ///
    /// - Parameter files: named as ``Migration/init(fileName:sql:)`` says; their sets are others than those of this
    ///   catalog. Anything else is a mistake of the program, and ends it.
    public func adding(_ files: [(name: String, sql: [UInt8])]) -> MigrationCatalog {
        var all = migrations.values.flatMap(\.self)
        for file in files {
            guard let migration = Migration(fileName: file.name, sql: file.sql), migrations[migration.set] == nil else {
                preconditionFailure("\(file.name) is no <set>_<NNNN>_<name> of a set of the program's own")
            }
            all.append(migration)
        }
        do throws(MigrationError) { return try MigrationCatalog(all) } catch { preconditionFailure(error.description) }
    }

    /// The set's migrations in order.
    ///
    /// - Throws: ``MigrationError`` when there is no such set.
    public func migrations(of set: String) throws(MigrationError) -> [Migration] {
        guard let found = migrations[set] else {
            throw MigrationError(
                .unknownSet, "migration set \(set) does not exist; the sets are: \(sets.joined(separator: ", "))")
        }
        return found
    }
}

/// Why migrations cannot be found, applied, or relied on.
public struct MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// A file of ours is named or numbered wrongly.
        case invalidCatalog
        /// A set is asked for that this program does not have.
        case unknownSet
        /// The database lacks migrations that this program needs.
        case schemaTooOld
        /// A migration was changed after it was applied.
        case checksumChanged
        /// A migration ended its own transaction.
        case transactionEnded
    }

    public let code: Code
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
