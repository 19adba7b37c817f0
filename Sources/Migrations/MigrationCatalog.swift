/// The migrations that this program contains.
public struct MigrationCatalog: Sendable {
    /// The names of the sets, sorted.
    public let sets: [String]
    private let migrations: [String: [Migration]]

    /// - Throws: ``MigrationError`` if the numbers of a set are not 1, 2, ….
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

    /// This catalog with additional files of a program.
    ///
    /// - Parameter files: files whose names have the form of ``Migration/init(fileName:sql:)``. Their sets must not
    ///   exist in this catalog. A violation is a programming error and ends the program.
    public func adding(_ files: [(name: String, sql: [UInt8])]) -> MigrationCatalog {
        var all = migrations.values.flatMap(\.self)
        for file in files {
            guard let migration = Migration(fileName: file.name, sql: file.sql), migrations[migration.set] == nil else {
                preconditionFailure("\(file.name) must be named <set>_<NNNN>_<name>, with a set of the program's own")
            }
            all.append(migration)
        }
        do throws(MigrationError) { return try MigrationCatalog(all) } catch { preconditionFailure(error.description) }
    }

    /// The migrations of a set, in order.
    ///
    /// - Throws: ``MigrationError`` if the set does not exist.
    public func migrations(of set: String) throws(MigrationError) -> [Migration] {
        guard let found = migrations[set] else {
            throw MigrationError(
                .unknownSet, "migration set \(set) does not exist; the sets are: \(sets.joined(separator: ", "))")
        }
        return found
    }
}

/// Why migrations cannot be found or applied, or are not sufficient.
public struct MigrationError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// An embedded file has a wrong name or number.
        case invalidCatalog
        /// This program does not have the requested set.
        case unknownSet
        /// The database lacks migrations that this program requires.
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
