internal import Kafka
internal import Postgres
internal import ProjectionCommands
internal import SQLProjections
internal import SQLText
internal import Verification

/// Verifies SQL projections by replays for the report of `millrace verify`, with a comparison for each table.
struct FolderVerification {
    /// Selects versions.
    enum Selection: Equatable {
        /// The live version of each projection in the database, with the stored files.
        case registered
        /// The versions of these folders.
        case folders([String])
        case none
    }

    private let readModel: PostgresConfiguration
    private let kafka: KafkaClientConfiguration
    /// The reason why the topics lack events that versions may have applied; nil if they do not.
    private let incompleteHistory: String?
    /// Maximum number of reported differences of a table.
    private let exampleLimit: Int

    /// - Parameter readModel: any server of the read model's database. A replay needs a server that accepts writes.
    init(
        readModel: PostgresConfiguration, kafka: KafkaClientConfiguration, incompleteHistory: String?,
        exampleLimit: Int = 10
    ) {
        self.readModel = readModel
        self.kafka = kafka
        self.incompleteHistory = incompleteHistory
        self.exampleLimit = exampleLimit
    }

    func comparisons(of selection: Selection) async throws -> [Verdict.Comparison] {
        switch selection {
        case .none: return []
        case .folders(let paths):
            var comparisons: [Verdict.Comparison] = []
            for path in paths {
                comparisons += try await self.comparisons(of: VersionSchema(folder: path, writable))
            }
            return comparisons
        case .registered: return try await registered()
        }
    }

    private var writable: PostgresConfiguration {
        var configuration = readModel
        configuration.access = .readWrite
        return configuration
    }

    private func registered() async throws -> [Verdict.Comparison] {
        let (live, isStandby) = try await PostgresConnection.with(readModel) { connection in
            let live = try await StoredFolder.live(on: connection)
            return (live, try await connection.execute("SELECT pg_is_in_recovery()").bool(0, 0))
        }
        var comparisons: [Verdict.Comparison] = []
        for (name, version) in live {
            if isStandby {
                comparisons.append(
                    Self.undecided("\(name)@\(version)", "a replay needs the primary, and this is a standby"))
                continue
            }
            do {
                let schema = try await VersionSchema(stored: name, version: version, writable)
                comparisons += try await self.comparisons(of: schema)
            } catch let error as VersionSchema.Refusal {
                comparisons.append(Self.undecided("\(name)@\(version)", error.description))
            } catch let error as InvalidFolder {
                comparisons.append(Self.undecided("\(name)@\(version)", error.description))
            }
        }
        return comparisons
    }

    private func comparisons(of version: VersionSchema) async throws -> [Verdict.Comparison] {
        if let incompleteHistory { return [Self.undecided(version.name, incompleteHistory)] }
        do {
            let tables = try await FolderReplay(version, writable, kafka: kafka).run()
            return tables.map { comparison($0, in: version.name) }
        } catch let failure as FolderReplay.Failure {
            guard failure.isDifference else { return [Self.undecided(version.name, failure.description)] }
            var comparison = Verdict.Comparison(name: version.name)
            (comparison.checked, comparison.differing) = (1, 1)
            comparison.differences = [
                Verdict.Difference(subject: version.name, problem: .notApplicable(failure.description))
            ]
            return [comparison]
        }
    }

    private static func undecided(_ name: String, _ reason: String) -> Verdict.Comparison {
        var comparison = Verdict.Comparison(name: name)
        comparison.undecided = reason
        return comparison
    }

    /// The comparison of a table. A different row counts as missing, as surplus, or as both.
    private func comparison(_ table: TableComparison, in version: String) -> Verdict.Comparison {
        var comparison = Verdict.Comparison(name: "\(version) \(table.table)")
        comparison.checked = Int(table.rows)
        comparison.differing = Int(table.missing + table.surplus)
        let differences =
            table.missingExamples.map { Verdict.Difference(subject: $0, problem: .missing) }
            + table.surplusExamples.map { Verdict.Difference(subject: $0, problem: .unexpected) }
        comparison.differences = Array(differences.prefix(exampleLimit))
        return comparison
    }
}
