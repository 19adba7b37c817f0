public import ArgumentParser
public import Events
public import Migrations
public import Postgres
public import Settings

/// What makes one daemon different from the others. All else they share; see ``main()``.
public protocol DaemonProgram: Sendable {
    associatedtype Feature: FeatureSettings
    /// What its command line has beside what all daemons have.
    associatedtype Options: DaemonOptions = NoDaemonOptions

    /// The executable's name, which logs, brokers and the database show.
    static var name: String { get }
    /// What it does, in one sentence.
    static var abstract: String { get }
    /// Where it serves health and metrics by default.
    static var operationsPort: Int { get }
    /// What of Kafka it reads with the default settings, for what is made before it runs: topics, above all.
    static var consumers: [Consumption] { get }
    /// The migrations that it knows: those of Millrace, and its own.
    static var migrations: MigrationCatalog { get }
    /// Whether there is something to do for it with the default settings.
    static var worksByDefault: Bool { get }
    /// Whether an installation may go without it: services of its users then do that work.
    static var isOptional: Bool { get }
    /// The sets of migrations that its schema must have.
    static func migrationSets(for feature: Feature) -> [String]
    /// What its metrics are, in one sentence each, by their names.
    static var metricHelp: [String: String] { get }
    /// The tables of which it shows how many dead rows they hold.
    static func measuredTables(for feature: Feature) -> MeasuredTables
    /// Whether a database server that takes no writes is the wrong one.
    static var needsWrites: Bool { get }
    /// Whether it is of no use without Kafka, so that it is not ready while no broker answers.
    static var needsKafka: Bool { get }
    /// For `--check=online`: looks at more than the migrations.
    ///
    /// - Returns: notes about things that work with limits.
    static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String]
    /// Works until the task is cancelled, and then returns when all is left in good order.
    ///
    /// When it throws after ``DaemonContext/started`` was called, it is run again.
    static func run(_ feature: Feature, in context: DaemonContext) async throws
}

/// Options of one daemon's command line, each a shorter way to say a setting.
public protocol DaemonOptions: ParsableArguments {
    /// The settings, as `--set` has them: `section.key=value`. They count before those of `--set`.
    var settings: [String] { get }
}

/// The options of a daemon that has none of its own.
public struct NoDaemonOptions: DaemonOptions {
    public init() {}

    public var settings: [String] { [] }
}

/// What one consumer of a daemon reads.
public struct Consumption: Sendable {
    /// The consumer's name, by which its offsets and dead letters are found.
    public let consumer: String
    /// The topics of its events.
    public let topics: [String]
    /// Where what it cannot apply goes and comes back from; empty where nothing does.
    public let letterTopics: [String]
    /// What its events are, by which a corrected value is checked before it is sent.
    public let codec: EventCodec

    /// - Parameter codec: the consumer's domain; if not given, only the envelope is looked at.
    public init(consumer: String, topics: [String], letterTopics: [String], codec: EventCodec = .envelope) {
        self.consumer = consumer
        self.topics = topics
        self.letterTopics = letterTopics
        self.codec = codec
    }
}

extension DaemonProgram {
    public static var consumers: [Consumption] { [] }

    public static var metricHelp: [String: String] { [:] }

    public static func measuredTables(for feature: Feature) -> MeasuredTables { MeasuredTables() }

    public static var migrations: MigrationCatalog { .embedded }

    public static var worksByDefault: Bool { true }

    public static var isOptional: Bool { false }

    public static var needsWrites: Bool { true }

    public static var needsKafka: Bool { true }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] { [] }
}

/// All settings of a daemon.
public struct DaemonSettings<Program: DaemonProgram>: SettingsDeclaration {
    var log: LogSettings
    var operations: OperationsSettings
    var kafka: KafkaSettings
    var postgres: PostgresSettings
    /// Those of what the daemon is for.
    public var feature: Program.Feature

    public init(from reader: SettingsReader) {
        log = LogSettings(from: reader)
        operations = OperationsSettings(from: reader, port: Program.operationsPort)
        kafka = KafkaSettings(from: reader, clientID: Program.name)
        postgres = PostgresSettings(from: reader, applicationName: Program.name)
        postgres.configuration.access = Program.needsWrites ? .readWrite : .any
        feature = Program.Feature(from: reader)
    }
}
