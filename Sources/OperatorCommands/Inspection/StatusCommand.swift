internal import ArgumentParser
internal import Catalog
internal import Inspection
internal import Kafka
internal import Postgres

/// `millrace status`: shows whether the system works.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Reports on one screen, within half a second, whether the system works.",
        discussion: """
            A server that does not answer within \(timeoutMs) ms counts as a problem. `millrace doctor` checks more \
            and recommends actions.

            Exit codes: 0 no problem · 1 a problem · 64 wrong usage · 78 the configuration is wrong.
            """)

    /// Maximum time for all queries together, in milliseconds.
    static let timeoutMs = 450

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var outbox: OutboxNameOptions

    @Option(name: .shortAndLong, help: "text, or json: one array.")
    var output = DoctorCommand.Output.text

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-status", access: .any)
        let kafka = try kafka.configuration(clientID: "millrace-status")
        var expected = Expectations()
        outbox.name(in: &expected)
        async let waiting = Answer.within(Self.timeoutMs) { [expected] in await Self.waiting(postgres, expected) }
        async let reading = Answer.within(Self.timeoutMs) { await Self.lag(postgres, kafka) }
        let late = Finding(.critical, "no answer within \(Self.timeoutMs) ms", check: "database")
        let lateKafka = Finding(.critical, "no answer within \(Self.timeoutMs) ms", check: "kafka")
        let findings = (await waiting ?? [late]) + (await reading ?? [lateKafka])
        switch output {
        case .json: print(LetterJSON.page(findings))
        case .text: print(DoctorCommand.text(findings, all: true))
        }
        StandardOutput.flush()
        if findings.contains(where: { $0.severity > .note }) { throw ExitCode(1) }
    }

    private static func waiting(
        _ postgres: PostgresConfiguration, _ expected: Expectations
    ) async -> [Finding] {
        let connection = try? await PostgresConnection.connect(postgres)
        let scene = CheckScene(postgres: postgres, connection: connection, admin: nil, expected: expected)
        let findings = await Doctor.examine(scene, Doctor.quickChecks)
        await connection?.close()
        return findings
    }

    private static func lag(_ postgres: PostgresConfiguration, _ kafka: KafkaClientConfiguration) async -> [Finding] {
        guard let connection = try? await PostgresConnection.connect(postgres) else { return [] }
        do {
            let reader = try LagReader(
                connection, kafka, groups: [], programs: Catalog.programs, sqlProgram: Catalog.sqlProjections,
                looksAtRetention: false, timeoutMs: Int32(timeoutMs))
            var tracker = LagTracker()
            let report = tracker.report(try await reader.read())
            await connection.close()
            return report.findings
        } catch {
            let missing = await MissingRight.behind(error, in: postgres.schema, on: connection)
            await connection.close()
            var finding = missing.map { Finding($0) } ?? Finding(.critical, "\(error)")
            finding.check = "lag"
            return [finding]
        }
    }
}

/// Waits for an answer for a limited time.
enum Answer {
    /// - Returns: nil if the answer took longer. The query continues in the background, because a call that blocks a
    ///   thread cannot be cancelled.
    static func within<Value: Sendable>(
        _ milliseconds: Int, _ question: @escaping @Sendable () async -> Value
    ) async -> Value? {
        let (answers, answer) = AsyncStream.makeStream(of: Value?.self)
        let asking = Task { answer.yield(await question()) }
        let waiting = Task {
            try? await Task.sleep(for: .milliseconds(milliseconds))
            answer.yield(nil)
        }
        defer {
            asking.cancel()
            waiting.cancel()
        }
        for await first in answers { return first }
        return nil
    }
}
