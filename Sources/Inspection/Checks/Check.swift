public import Kafka
public import Postgres

/// The importance of a finding.
public enum Severity: String, Sendable, Hashable, Comparable, Encodable {
    /// No problem.
    case ok
    /// It could not be checked, or is only information.
    case note
    /// It works, but will fail in time or after a fault.
    case warning
    /// Events wait or can be lost.
    case critical

    public static func < (left: Severity, right: Severity) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .ok: 0
        case .note: 1
        case .warning: 2
        case .critical: 3
        }
    }
}

/// The result of a check, and what to do about it.
public struct Finding: Sendable, Hashable, Encodable {
    /// The name of the check.
    public var check: String
    public let severity: Severity
    public let finding: String
    /// What to do; nil if nothing has to be done.
    public let remedy: String?

    public init(_ severity: Severity, _ finding: String, remedy: String? = nil, check: String = "") {
        self.check = check
        self.severity = severity
        self.finding = finding
        self.remedy = remedy
    }
}

/// The expected state of an installation.
public struct Expectations: Sendable {
    /// The migration sets that the schema must have.
    public var migrationSets: [String] = []
    /// The topics of events.
    public var eventTopics: [String] = []
    /// The topics of dead letters and of retries.
    public var letterTopics: [String] = []
    /// The programs that should be connected to the database.
    public var programs: [String] = []
    /// Further programs, which an installation may not need.
    public var optionalPrograms: [String] = []
    /// The roles that programs connect as. If empty, the connected user is checked.
    public var roles: [String] = []
    public var outbox = "outbox"
    public var failedOutbox = "outbox_failed"

    public init() {}
}

/// The connections and expectations that checks use.
public struct CheckScene: Sendable {
    public let postgres: PostgresConfiguration
    public let connection: PostgresConnection?
    public let admin: KafkaAdmin?
    public let expected: Expectations

    /// - Parameters:
    ///   - postgres: the configuration of the database.
    ///   - connection: a connection to the database; nil if it is unreachable.
    ///   - admin: the Kafka cluster; nil if it is not checked.
    ///   - expected: the expected state.
    public init(
        postgres: PostgresConfiguration, connection: PostgresConnection?, admin: KafkaAdmin?, expected: Expectations
    ) {
        self.postgres = postgres
        self.connection = connection
        self.admin = admin
        self.expected = expected
    }

    /// - Throws: ``CheckSkipped`` if there is no connection.
    func database() throws -> PostgresConnection {
        guard let connection else { throw CheckSkipped("the database is unreachable") }
        return connection
    }

    /// The reason why a table was not found. If the user may not use the schema, all of its tables seem to be missing.
    func reasonOfMissing(_ table: String) async throws -> any Error {
        if let right = try await MissingRight.usage(of: postgres.schema, on: database()) { return right }
        return CheckSkipped("there is no table \(table)")
    }

    /// The schema of the programs first, then those of the versions of read models that are not superseded.
    func schemas() async throws -> [String] {
        let connection = try database()
        let exists = try await connection.execute("SELECT to_regclass('projection_versions') IS NOT NULL")
        guard try exists.bool(0, 0) else { return [postgres.schema] }
        let rows = try await connection.execute(
            "SELECT schema_name FROM projection_versions WHERE state IN ('live', 'building') ORDER BY 1")
        return [postgres.schema] + (try (0..<rows.rowCount).map { try rows.string($0, 0) })
    }

    /// - Throws: ``CheckSkipped`` if Kafka is not checked.
    func kafka() throws -> KafkaAdmin {
        guard let admin else { throw CheckSkipped("no Kafka cluster was given") }
        return admin
    }
}

/// Why a check cannot run.
struct CheckSkipped: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

/// A check of one property of an installation.
public protocol Check: Sendable {
    /// One or two words that never change, because programs search for them.
    var name: String { get }
    /// - Returns: at least one finding.
    func run(_ scene: CheckScene) async throws -> [Finding]
}

/// Runs checks.
public enum Doctor {
    public static let checks: [any Check] = [
        DatabaseCheck(), ClockCheck(), SchemaFilesCheck(), RightsCheck(), ProgramsCheck(), PinnedTransactionsCheck(),
        PreparedTransactionsCheck(), ReplicationSlotsCheck(), OutboxBacklogCheck(), OutboxDeadRowsCheck(),
        DeadRowsCheck(), FailedRowsCheck(), BlockedKeysCheck(), CircuitBreakersCheck(), OpenLettersCheck(),
        BrokersCheck(), TopicsCheck(),
    ]

    /// The checks for stopped programs and waiting events, which take only a few milliseconds.
    public static let quickChecks: [any Check] = [
        DatabaseCheck(), ProgramsCheck(), OutboxBacklogCheck(), FailedRowsCheck(), BlockedKeysCheck(),
        CircuitBreakersCheck(), OpenLettersCheck(),
    ]

    /// Runs the checks one after the other. A check that fails also produces a finding.
    public static func examine(_ scene: CheckScene, _ checks: [any Check] = checks) async -> [Finding] {
        var findings: [Finding] = []
        for check in checks {
            var found: [Finding]
            do {
                found = try await check.run(scene)
            } catch {
                found = [await finding(of: error, scene)]
            }
            for index in found.indices where found[index].check.isEmpty { found[index].check = check.name }
            findings += found
        }
        return findings
    }

    private static func finding(of error: any Error, _ scene: CheckScene) async -> Finding {
        if let missing = error as? MissingRight { return Finding(missing) }
        if let connection = scene.connection,
            let missing = await MissingRight.behind(error, in: scene.postgres.schema, on: connection)
        {
            return Finding(missing)
        }
        switch error {
        case let skipped as CheckSkipped: return Finding(.note, "not checked: \(skipped.reason)")
        case let error as PostgresError where ["42P01", "42703", "3F000"].contains(error.sqlState?.code):
            return Finding(
                .note, "not checked: the tables do not exist",
                remedy: "run millrace migrate up, if this database should have them")
        case let error as PostgresError where error.sqlState?.code == "42501":
            return Finding(
                .note, "not checked: the user lacks the right: \(error.description)",
                remedy: "GRANT pg_monitor TO the user that `millrace doctor` connects as")
        case let error as KafkaError where error.isUnsupported:
            return Finding(.note, "not checked: the brokers do not support this request")
        default: return Finding(.warning, "could not be checked: \(error)")
        }
    }
}

extension Finding {
    /// The finding that nothing can be seen without a right.
    public init(_ missing: MissingRight) {
        self.init(.critical, "not checked: \(missing.role) lacks \(missing.right)", remedy: missing.grant)
    }
}
