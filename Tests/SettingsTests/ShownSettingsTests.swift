import Settings
import Testing

/// Tests the reported changes of settings that are reloaded.
@Suite struct ShownSettingsTests {
    private func shown(_ overrides: String...) throws -> ShownSettings {
        let required = ["kafka.servers=k:9092", "database.url=postgresql://localhost/mill"]
        return try Sample.load(SettingsSources(overrides: required + overrides)).shown
    }

    @Test func changesAreToldByKey() throws {
        let old = try shown("work.rows=20", "kafka.properties.linger.ms=5")
        let new = try shown("work.rows=30", "log.note=hello", "kafka.properties.acks=1")
        let changes = old.changes(to: new)
        #expect(
            changes.map(\.description) == [
                #"kafka.properties.acks: not set → "1""#, #"kafka.properties.linger.ms: "5" → not set"#,
                #"log.note: not set → "hello""#, "work.rows: 20 → 30",
            ])
        #expect(new.changes(to: new).isEmpty)
    }

    /// A change that waits for a restart is reported again at the next reload.
    @Test func onlyWhatIsTakenIsOver() throws {
        var running = try shown("work.rows=20")
        let new = try shown("work.rows=30", "work.linger_ms=7")
        let rows = try #require(running.changes(to: new).first { $0.key == "work.rows" })
        running.take(rows)
        #expect(running.changes(to: new).map(\.key) == ["work.linger_ms"])
    }

    @Test func secretsAreHidden() throws {
        let secret = SettingsSources(
            environment: ["MILLRACE_DATABASE__URL": "postgresql://u:hunter2@localhost/mill"],
            overrides: ["kafka.servers=k:9092"])
        let changes = try shown().changes(to: Sample.load(secret).shown)
        #expect(changes.count == 1 && !"\(changes)".contains("hunter2"), "\(changes)")
    }
}
