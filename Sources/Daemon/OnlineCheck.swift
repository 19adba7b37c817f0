internal import Kafka
internal import Postgres

/// Runs `--check=online`: connects to the servers and prints all problems.
struct OnlineCheck<Program: DaemonProgram> {
    let settings: DaemonSettings<Program>

    func run() async -> DaemonExit {
        let results = [await database(), await brokers()]
        for result in results.compactMap(\.self) { StandardError.write(result.text) }
        if results.contains(where: { $0?.exit == .configuration }) { return .configuration }
        if results.contains(where: { $0 != nil }) { return .unavailable }
        print("the configuration is valid, the schema is up to date, and the brokers answer")
        return .ok
    }

    private struct Problem {
        let text: String
        let exit: DaemonExit
    }

    private func database() async -> Problem? {
        let feature = settings.feature
        let readiness = DatabaseReadiness(
            postgres: settings.postgres.configuration, catalog: Program.migrations,
            migrationSets: Program.migrationSets(for: feature), logger: .quiet,
            inspect: { try await Program.check(feature, on: $0) })
        do {
            for note in try await readiness.check() { StandardError.write("note: \(note)") }
            return nil
        } catch {
            return Problem(text: "postgres: \(error)", exit: DaemonExit(error))
        }
    }

    private func brokers() async -> Problem? {
        do {
            _ = try await KafkaAdmin(settings.kafka.configuration, timeoutMs: 5_000).brokers()
            return nil
        } catch {
            return Problem(text: "kafka: \(error)", exit: DaemonExit(error))
        }
    }
}
