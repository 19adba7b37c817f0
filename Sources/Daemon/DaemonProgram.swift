public import ArgumentParser
public import Events
public import Migrations
public import Postgres
public import Settings

/// The part of a daemon that differs from other daemons. ``main()`` provides the common part.
public protocol DaemonProgram: Sendable {
    associatedtype Feature: FeatureSettings
    /// The options that its command line has in addition to the common ones.
    associatedtype Options: DaemonOptions = NoDaemonOptions

    /// The name of the executable, which the logs, the brokers and the database show.
    static var name: String { get }
    /// What the daemon does, in one sentence.
    static var abstract: String { get }
    /// The default port for health and metrics.
    static var operationsPort: Int { get }
    /// What it reads from Kafka with the default settings. Commands use it, for example to create topics before it
    /// runs.
    static var consumers: [Consumption] { get }
    /// The migrations that it contains: those of Millrace and its own.
    static var migrations: MigrationCatalog { get }
    /// Whether it has work to do with the default settings.
    static var worksByDefault: Bool { get }
    /// Whether an installation may omit it, because services of the user may do its work.
    static var isOptional: Bool { get }
    /// The migration sets that its schema must have.
    static func migrationSets(for feature: Feature) -> [String]
    /// Whether a database with these migration sets can be one of the daemon's. By default it needs those that
    /// the daemon needs with the default settings.
    static func canUse(migrationSets sets: Set<String>) -> Bool
    /// One sentence for each of its metrics, by their names.
    static var metricHelp: [String: String] { get }
    /// The tables whose dead rows it reports as metrics.
    static func measuredTables(for feature: Feature) -> MeasuredTables
    /// Whether it cannot use a database server that refuses writes.
    static var needsWrites: Bool { get }
    /// Whether it needs Kafka, so that it is not ready while no broker answers.
    static var needsKafka: Bool { get }
    /// Checks more than the migrations, for `--check=online`.
    ///
    /// - Returns: notes about what works only with restrictions.
    static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String]
    /// Works until the task is cancelled, and then shuts down gracefully and returns.
    ///
    /// If it throws after ``DaemonContext/started`` was called, it is called again.
    static func run(_ feature: Feature, in context: DaemonContext) async throws
}

/// Options of one daemon's command line. Each is a short form of a setting.
public protocol DaemonOptions: ParsableArguments {
    /// The settings in the form of `--set`, `section.key=value`. They take precedence over `--set`.
    var settings: [String] { get }
}

/// The options of a daemon without options of its own.
public struct NoDaemonOptions: DaemonOptions {
    public init() {}

    public var settings: [String] { [] }
}

/// What a consumer of a daemon reads.
public struct Consumption: Sendable {
    /// The name of the consumer. Its offsets and dead letters are stored under it.
    public let consumer: String
    /// The topics of its events.
    public let topics: [String]
    /// The topics of its dead letters and of their retries; empty if it has none.
    public let letterTopics: [String]
    /// The codec of its events, with which a corrected value is checked before it is sent.
    public let codec: EventCodec

    /// - Parameters:
    ///   - consumer: the name of the consumer.
    ///   - topics: the topics of its events.
    ///   - letterTopics: the topics of its dead letters and of their retries.
    ///   - codec: the codec of the consumer's domain. The default checks only the envelope.
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

    public static func canUse(migrationSets sets: Set<String>) -> Bool {
        sets.isSuperset(of: migrationSets(for: DaemonSettings<Self>.defaults.feature))
    }

    public static var needsWrites: Bool { true }

    public static var needsKafka: Bool { true }

    public static func check(_ feature: Feature, on connection: PostgresConnection) async throws -> [String] { [] }
}

/// The settings of a daemon that `--migrate` needs. It runs where migrations are applied, and neither Kafka nor the
/// secrets of other sections need be known there.
struct MigrationSettings<Program: DaemonProgram>: SettingsDeclaration {
    let postgres: PostgresSettings
    let feature: Program.Feature

    init(from reader: SettingsReader) {
        postgres = PostgresSettings(from: reader, applicationName: Program.name)
        feature = Program.Feature(from: reader)
    }
}

/// All settings of a daemon.
public struct DaemonSettings<Program: DaemonProgram>: SettingsDeclaration {
    var log: LogSettings
    var operations: OperationsSettings
    var tracing: TracingSettings
    var kafka: KafkaSettings
    var postgres: PostgresSettings
    /// The daemon's own settings.
    public var feature: Program.Feature

    public init(from reader: SettingsReader) {
        log = LogSettings(from: reader)
        operations = OperationsSettings(from: reader, port: Program.operationsPort)
        tracing = TracingSettings(from: reader)
        kafka = KafkaSettings(from: reader, clientID: Program.name)
        postgres = PostgresSettings(from: reader, applicationName: Program.name)
        postgres.configuration.access = Program.needsWrites ? .readWrite : .any
        feature = Program.Feature(from: reader)
    }
}
