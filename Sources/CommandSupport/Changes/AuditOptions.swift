internal import ArgumentParser
internal import Foundation
package import StreamCore

/// The options of every command that changes something.
package struct AuditOptions: ParsableArguments {
    @Flag(help: "Make the change. Without this option the command is a dry run.")
    package var execute = false

    @Option(help: "The reason, for the history. Required with --execute.")
    var reason: String?

    @Option(name: .customLong("as"), help: "The operator, for the history (default: $SUDO_USER, else $USER).")
    var actor: String?

    package init() {}

    /// The last sentence of each dry run.
    package static let howToExecute = "Add --execute --reason \"why\" to do it."

    package func validate() throws {
        guard execute else { return }
        guard let reason, !reason.allSatisfy(\.isWhitespace) else {
            throw ValidationError("--execute requires --reason \"why\" for the history.")
        }
        if Self.actor(given: actor, environment: ProcessInfo.processInfo.environment) == nil {
            throw ValidationError("Neither SUDO_USER nor USER is set: give your name with --as.")
        }
    }

    package var audit: Audit {
        Audit(
            actor: Self.actor(given: actor, environment: ProcessInfo.processInfo.environment) ?? "unknown",
            reason: reason ?? "")
    }

    package static func actor(given: String?, environment: [String: String]) -> String? {
        [given, environment["SUDO_USER"], environment["USER"]].lazy.compactMap { $0 }.first { !$0.isEmpty }
    }
}
