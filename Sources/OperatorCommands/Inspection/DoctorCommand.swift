internal import ArgumentParser
internal import Catalog
internal import CommandSupport
internal import Inspection
internal import Kafka
internal import Postgres

/// `millrace doctor`: performs the checks of a runbook.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks the database, Kafka, the schema, the topics and the backlog, and recommends actions.",
        discussion: """
            The command changes nothing. Connect as a user with pg_monitor, because other users see only their own \
            connections.

            It checks what the database shows of an installation: the migration sets that were applied, the daemons \
            that can use them, and the topics of these daemons and of the projections in SQL. With --daemon it checks \
            that these daemons run and have their migration sets, and asks for no others.

            Exit codes: 0 no problem, or only notes · 1 warnings · 2 critical: events wait, or may be lost · \
            64 wrong usage · 78 the configuration is wrong.
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    /// The maximum time for a request to Kafka, in milliseconds.
    private static let requestLimitMs: Int32 = 5_000

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var kafka: KafkaOptions

    @Flag(help: "Do not check Kafka.")
    var withoutKafka = false

    @Option(
        help: ArgumentHelp(
            "A database role of the daemons (default: the connected user); may be repeated.", valueName: "role"))
    var role: [String] = []

    @OptionGroup var outbox: OutboxNameOptions
    @OptionGroup var installation: InstallationOptions

    @Flag(help: "Also show checks without a problem.")
    var all = false

    @Option(name: .shortAndLong, help: "text, or json: one array.")
    var output = Output.text

    func run() async throws {
        let postgres = try database.configuration(applicationName: "millrace-doctor", access: .any)
        let cluster = withoutKafka ? nil : try kafka.configuration(clientID: "millrace-doctor")
        let admin = try cluster.map { try KafkaAdmin($0, timeoutMs: Self.requestLimitMs) }
        // An unavailable database is a finding, not a failure of the command.
        let connection = try? await PostgresConnection.connect(postgres)
        var expected = try await expectations(postgres, connection)
        expected.roles = role
        outbox.name(in: &expected)
        let scene = CheckScene(postgres: postgres, connection: connection, admin: admin, expected: expected)
        let consumers = cluster.map {
            ConsumersCheck(
                $0, programs: Catalog.programs, sqlProgram: Catalog.sqlProjections, timeoutMs: Self.requestLimitMs)
        }
        let findings = await Doctor.examine(scene, Doctor.checks + [consumers].compactMap(\.self))
        await connection?.close()
        print(output == .json ? JSONText.page(findings) : Self.text(findings, all: all))
        StandardOutput.flush()
        if let code = Self.exitCode(findings) { throw code }
    }

    private func expectations(
        _ postgres: PostgresConfiguration, _ connection: PostgresConnection?
    ) async throws -> Expectations {
        var found = Installation()
        if let connection { found = try await Installation.read(postgres, on: connection) }
        return found.expectations(named: installation.chosen, needing: try installation.migrationSets())
    }

    static func exitCode(_ findings: [Finding]) -> ExitCode? {
        switch findings.map(\.severity).max() {
        case .critical: ExitCode(2)
        case .warning: ExitCode(1)
        default: nil
        }
    }

    static func text(_ findings: [Finding], all: Bool) -> String {
        let shown = findings.filter { all || $0.severity > .ok }
        var lines: [String] = []
        let width = shown.map(\.check.count).max() ?? 0
        for finding in shown.sorted(by: { $0.severity > $1.severity }) {
            let severity = finding.severity.rawValue.padding(to: 9)
            lines.append("\(severity) \(finding.check.padding(to: width))  \(TextFormat.text(finding.finding))")
            if let remedy = finding.remedy {
                lines.append(String(repeating: " ", count: width + 12) + "→ \(TextFormat.text(remedy))")
            }
        }
        let worst = findings.map(\.severity).max() ?? .ok
        let wellCount = findings.count { $0.severity == .ok }
        lines.append(
            "\(worst <= .note ? "no problems" : "worst finding: \(worst.rawValue)"); \(wellCount) of \(findings.count) findings are ok"
        )
        return lines.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(width - count, 0)) }
}
