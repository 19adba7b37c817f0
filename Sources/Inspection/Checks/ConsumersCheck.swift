public import Kafka
internal import Postgres

/// Checks whether consumers keep up. It has one finding for each of them.
public struct ConsumersCheck: Check {
    public let name = "consumers"
    private let kafka: KafkaClientConfiguration
    private let programs: [String: String]
    private let sqlProgram: String?
    private let timeoutMs: Int32

    /// The time, in milliseconds, that consumers have to read what is there. A healthy one needs less.
    private static let patienceMs = 150
    /// The time, in milliseconds, between the first look and the second one.
    private static let pauseMs = 1_000

    /// - Parameters:
    ///   - kafka: the Kafka cluster.
    ///   - programs: the program of each consumer.
    ///   - sqlProgram: the program of the projections in SQL that the database has.
    ///   - timeoutMs: the maximum time for each request to Kafka, in milliseconds.
    public init(
        _ kafka: KafkaClientConfiguration, programs: [String: String], sqlProgram: String, timeoutMs: Int32
    ) {
        self.kafka = kafka
        self.programs = programs
        self.sqlProgram = sqlProgram
        self.timeoutMs = timeoutMs
    }

    /// A problem of the first look may be over a moment later, so a second look decides. It also shows the rates.
    public func run(_ scene: CheckScene) async throws -> [Finding] {
        do {
            let reader = try LagReader(
                try scene.database(), kafka, groups: [], programs: programs, sqlProgram: sqlProgram,
                looksAtRetention: false, patience: .milliseconds(Self.patienceMs), timeoutMs: timeoutMs)
            var tracker = LagTracker()
            let first = tracker.report(try await reader.read()).findings
            guard first.contains(where: { $0.severity > .note }) else { return first }
            try await Task.sleep(for: .milliseconds(Self.pauseMs))
            return tracker.report(try await reader.read()).findings
        } catch let error as KafkaError {
            return [
                Finding(.critical, "the end offsets of partitions cannot be read: \(error.message)", check: "kafka")
            ]
        }
    }
}
