internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Inspection
internal import Kafka
internal import Postgres

/// `millrace status`: shows whether the system works.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Reports on one screen, within half a second, whether the system works.",
        discussion: """
            If everything works, the report takes half a second. If a check finds a problem, the command repeats the \
            check after a second, and reports only what still is a problem. A server that does not answer within \
            \(limitMs / 1_000) s is also a problem. `millrace doctor` checks more and recommends actions.

            Exit codes: 0 no problem · 1 a problem · 64 wrong usage · 78 the configuration is wrong.
            """)

    /// The maximum time for everything, in milliseconds.
    static let limitMs = 5_000
    /// The maximum time for a request to Kafka, in milliseconds. Two requests fit into the limit.
    private static let requestLimitMs: Int32 = 2_000
    /// The time between the first and the second examination, in milliseconds.
    private static let pauseMs = 1_000

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions
    @OptionGroup var outbox: OutboxNameOptions
    @OptionGroup var installation: InstallationOptions

    @Option(name: .shortAndLong, help: "text, or json: one array.")
    var output = DoctorCommand.Output.text

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-status", access: .any)
        let kafka = try kafka.configuration(clientID: "millrace-status")
        let check = ConsumersCheck(
            kafka, programs: Catalog.programs, sqlProgram: Catalog.sqlProjections, timeoutMs: Self.requestLimitMs)
        let (outbox, daemons) = (outbox, installation.chosen)
        async let waiting = Answer.within(Self.limitMs) {
            await Self.twice {
                await Self.examine(postgres, Doctor.quickChecks) { connection in
                    await Self.expectations(postgres, on: connection, daemons, outbox)
                }
            }
        }
        async let reading = Answer.within(Self.limitMs) {
            await Self.examine(postgres, [check]) { _ in Expectations() }
        }
        let late = "no answer within \(Self.limitMs / 1_000) s"
        let findings =
            (await waiting ?? [Finding(.critical, late, check: "database")])
            + (await reading ?? [Finding(.critical, late, check: "kafka")])
        switch output {
        case .json: print(JSONText.page(findings))
        case .text: print(DoctorCommand.text(Self.withProgramsInOneLine(findings), all: true))
        }
        StandardOutput.flush()
        if Self.isProblem(findings) { throw ExitCode(1) }
    }

    private static func isProblem(_ findings: [Finding]) -> Bool { findings.contains { $0.severity > .note } }

    /// Examines again after a pause if there is a problem, because it may be temporary. Returns the findings of the
    /// last examination.
    private static func twice(_ look: () async -> [Finding]) async -> [Finding] {
        let first = await look()
        guard isProblem(first) else { return first }
        try? await Task.sleep(for: .milliseconds(pauseMs))
        return await look()
    }

    private static func examine(
        _ postgres: PostgresConfiguration, _ checks: [any Check],
        expecting: (PostgresConnection?) async -> Expectations
    ) async -> [Finding] {
        let connection = try? await PostgresConnection.connect(postgres)
        let scene = CheckScene(
            postgres: postgres, connection: connection, admin: nil, expected: await expecting(connection))
        let findings = await Doctor.examine(scene, checks)
        await connection?.close()
        return findings
    }

    private static func expectations(
        _ postgres: PostgresConfiguration, on connection: PostgresConnection?, _ daemons: [CatalogDaemon],
        _ outbox: OutboxNameOptions
    ) async -> Expectations {
        var installation = Installation()
        // No check expects anything that cannot be read. The checks report why they cannot read it.
        if let connection, let found = try? await Installation.read(postgres, on: connection) { installation = found }
        var expected = installation.expectations(named: daemons, needing: [])
        // One screen shows only the required programs.
        expected.optionalPrograms = []
        outbox.name(in: &expected)
        return expected
    }

    /// Replaces the findings of connected programs by a single one.
    static func withProgramsInOneLine(_ findings: [Finding]) -> [Finding] {
        let isConnected = { (finding: Finding) in finding.check == "programs" && finding.severity == .ok }
        let count = findings.count(where: isConnected)
        guard count > 1, let first = findings.firstIndex(where: isConnected) else { return findings }
        var lines = findings
        lines[first] = Finding(.ok, "\(count) programs are connected", check: "programs")
        return lines.enumerated().filter { $0.offset == first || !isConnected($0.element) }.map(\.element)
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
