public import Kafka
public import Postgres

/// How much a finding matters.
public enum Severity: String, Sendable, Hashable, Comparable, Encodable {
    /// As it should be.
    case ok
    /// Could not be found out, or is worth knowing.
    case note
    /// Works, and will not for ever, or not under every fault.
    case warning
    /// Events wait, or can be lost.
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

/// What a check has found, and what to do about it.
public struct Finding: Sendable, Hashable, Encodable {
    /// The check's name.
    public var check: String
    public let severity: Severity
    public let finding: String
    /// What to do; nil where nothing is to be done.
    public let remedy: String?

    public init(_ severity: Severity, _ finding: String, remedy: String? = nil, check: String = "") {
        self.check = check
        self.severity = severity
        self.finding = finding
        self.remedy = remedy
    }
}

/// What there should be.
public struct Expectations: Sendable {
    /// The sets of migrations that the schema must have.
    public var migrationSets: [String] = []
    /// Sets that a schema has whole or not at all.
    public var optionalMigrationSets: [String] = []
    /// The topics of events.
    public var eventTopics: [String] = []
    /// The topics of dead letters and of retries.
    public var letterTopics: [String] = []
    /// The programs that should be connected to the database.
    public var programs: [String] = []
    /// The roles that programs connect as; the connected user when empty.
    public var roles: [String] = []
    public var outbox = "outbox"

    public init() {}
}

/// What checks look at.
public struct CheckScene: Sendable {
    public let postgres: PostgresConfiguration
    public let connection: PostgresConnection?
    public let admin: KafkaAdmin?
    public let expected: Expectations

    /// - Parameters:
    ///   - connection: nil when the database cannot be reached.
    ///   - admin: nil when Kafka is not looked at.
    public init(
        postgres: PostgresConfiguration, connection: PostgresConnection?, admin: KafkaAdmin?, expected: Expectations
    ) {
        self.postgres = postgres
        self.connection = connection
        self.admin = admin
        self.expected = expected
    }

    /// - Throws: ``CheckSkipped`` when there is no connection.
    func database() throws -> PostgresConnection {
        guard let connection else { throw CheckSkipped("the database is unreachable") }
        return connection
    }

    /// - Throws: ``CheckSkipped`` when Kafka is not looked at.
    func kafka() throws -> KafkaAdmin {
        guard let admin else { throw CheckSkipped("no Kafka cluster was given") }
        return admin
    }
}

/// Why a check cannot find out anything.
struct CheckSkipped: Error {
    let reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

/// One thing that a runbook would look at.
public protocol Check: Sendable {
    /// A word or two that stay the same: programs look for them.
    var name: String { get }
    /// - Returns: at least one finding.
    func run(_ scene: CheckScene) async throws -> [Finding]
}

/// Runs checks.
public enum Doctor {
    public static let checks: [any Check] = [
        DatabaseCheck(), ClockCheck(), SchemaFilesCheck(), RightsCheck(), ProgramsCheck(), PinnedTransactionsCheck(),
        PreparedTransactionsCheck(), ReplicationSlotsCheck(), OutboxBacklogCheck(), OutboxDeadRowsCheck(),
        FailedRowsCheck(), BlockedKeysCheck(), CircuitBreakersCheck(), OpenLettersCheck(), BrokersCheck(),
        TopicsCheck(),
    ]

    /// Those that tell what waits, in a few milliseconds.
    public static let quickChecks: [any Check] = [
        DatabaseCheck(), OutboxBacklogCheck(), FailedRowsCheck(), BlockedKeysCheck(), CircuitBreakersCheck(),
        OpenLettersCheck(),
    ]

    /// Runs the checks, one after the other. What a check cannot find out is a finding, too.
    public static func examine(_ scene: CheckScene, _ checks: [any Check] = checks) async -> [Finding] {
        var findings: [Finding] = []
        for check in checks {
            var found: [Finding]
            do {
                found = try await check.run(scene)
            } catch {
                found = [finding(of: error)]
            }
            for index in found.indices { found[index].check = check.name }
            findings += found
        }
        return findings
    }

    private static func finding(of error: any Error) -> Finding {
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
