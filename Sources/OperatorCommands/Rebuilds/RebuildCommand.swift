internal import ArgumentParser
internal import ReadModels

/// `millrace rebuild`: builds a read model again from Kafka while the live version is used.
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract:
            "Builds a new version of a read model from Kafka beside the live one, and then replaces the live one.",
        discussion: """
            `start` creates the next version and fills it. `promote` verifies it and shows it to readers, without an \
            interruption. `retire` drops the previous version. `abort`, instead of `promote`, drops the new one. If a \
            step is interrupted, repeat the command; it continues. docs/operations.md explains more.

            Select a projection in SQL by its folder, --projection DIR. Its projection.toml contains the number of the \
            next version. sql-projection with that folder can fill the version instead of `start`. After that, the name \
            is sufficient on any machine, because the database stores the files of each version.

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
        commandName: "abort", abstract: "Drops the version that is being built. The live version does not change.",
        discussion: """
            The command or daemon that fills the version stops filling it. A daemon that is configured for this \
            version waits, and builds the version again after a restart.

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
        commandName: "retire", abstract: "Drops the versions that were replaced by another one.",
        discussion: """
            The command deletes their tables, offsets, parked events and processed events. It keeps the decisions of \
            operators about single events.

            \(RebuildCommand.exitCodes)
            """)

    @OptionGroup var options: RebuildOptions

    func run() async throws {
        for version in try await options.resolved().rebuild.retire() { print("dropped \(version)") }
    }
}
