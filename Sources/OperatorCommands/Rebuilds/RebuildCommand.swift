internal import ArgumentParser
internal import ReadModels

/// `millrace rebuild`: builds a read model again from Kafka while the live version is used.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Builds a read model anew from Kafka beside the live one, and puts it in its place.",
        discussion: """
            `start` makes the next version and fills it; `promote` verifies it and shows it to readers, who notice \
            nothing; `retire` drops the version before. `abort` instead of `promote` drops the new one. Each step can be \
            repeated: whatever ends it, the same command goes on. docs/operations.md explains more.

            A projection in SQL is named by its folder, --projection DIR, whose projection.toml has the number of the \
            next version. sql-projection with that folder fills it as well as `start` does. From then on the name is \
            enough, on any machine: the database keeps the files of each version.

            \(exitCodes)
            """,
        subcommands: [
            StartRebuild.self, RebuildStatus.self, PromoteRebuild.self, AbortRebuild.self, RetireVersions.self,
        ])

    static let exitCodes = """
        Exit codes: 0 done · 1 a step is refused, an event cannot be applied, or something differs · 64 wrong usage · \
        69 a server cannot be reached or refuses · 78 the configuration or the database schema is wrong.
        """
}

/// `millrace rebuild abort`.
struct AbortRebuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Drops the version that is being built; the live one stays as it is.",
        discussion: """
            What fills the version ends by itself; a daemon that was to keep it waits, and begins it anew when it is \
            restarted.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions

    func run() async throws {
        let version = try await options.resolved().rebuild.abort()
        print("dropped \(version)")
    }
}

/// `millrace rebuild retire`.
struct RetireVersions: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retire", abstract: "Drops the versions that another one took the place of.",
        discussion: """
            Their tables, offsets, parked events and processed events are gone then; what operators decided about \
            single events is kept.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions

    func run() async throws {
        for version in try await options.resolved().rebuild.retire() { print("dropped \(version)") }
    }
}
