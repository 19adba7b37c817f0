public import Postgres
public import Settings

/// The settings of what a daemon is for; declares one section and those within it.
public protocol FeatureSettings: Sendable {
    init(from reader: SettingsReader)
}

/// What makes one daemon different from the others. All else they share; see ``main()``.
public protocol DaemonProgram: Sendable {
    associatedtype Feature: FeatureSettings

    /// The executable's name, which logs, brokers and the database show.
    static var name: String { get }
    /// What it does, in one sentence.
    static var abstract: String { get }
    /// Where it serves health and metrics by default.
    static var operationsPort: Int { get }
    /// The sets of migrations that its schema must have.
    static func migrationSets(for feature: Feature) -> [String]
    /// Whether a database server that takes no writes is the wrong one.
    static var needsWrites: Bool { get }
    /// For `--check=online`: looks at more than the migrations.
    ///
    /// - Returns: what works, but has limits that somebody should know of.
    static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String]
    /// Works until the task is cancelled, and then returns when all is left in good order.
    ///
    /// When it throws after ``DaemonContext/started`` was called, it is run again.
    static func run(_ feature: Feature, in context: DaemonContext) async throws
}

extension DaemonProgram {
    public static var needsWrites: Bool { true }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] { [] }
}

/// All settings of a daemon.
struct DaemonSettings<Program: DaemonProgram>: SettingsDeclaration {
    var log: LogSettings
    var operations: OperationsSettings
    var kafka: KafkaSettings
    var postgres: PostgresSettings
    var feature: Program.Feature

    init(from reader: SettingsReader) {
        log = LogSettings(from: reader)
        operations = OperationsSettings(from: reader, port: Program.operationsPort)
        kafka = KafkaSettings(from: reader, clientID: Program.name)
        postgres = PostgresSettings(from: reader, applicationName: Program.name)
        postgres.configuration.access = Program.needsWrites ? .readWrite : .any
        feature = Program.Feature(from: reader)
    }
}
