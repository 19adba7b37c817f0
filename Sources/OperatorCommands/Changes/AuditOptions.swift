internal import ArgumentParser
internal import Foundation
internal import StreamCore

/// What every command that changes something asks for.
struct AuditOptions: ParsableArguments {
    @Flag(help: "Do it. Without this, the command only says what it would do.")
    var execute = false

    @Option(help: "Why: stands in the history of each. Needed with --execute.")
    var reason: String?

    @Option(name: .customLong("as"), help: "Who does it (default: $SUDO_USER, else $USER).")
    var actor: String?

    /// The last sentence of every dry run.
    static let howToExecute = "Add --execute --reason \"why\" to do it."

    func validate() throws {
        guard execute else { return }
        guard let reason, !reason.allSatisfy(\.isWhitespace) else {
            throw ValidationError("--execute needs --reason \"why\": it stands in the history of each.")
        }
        if Self.actor(given: actor, environment: ProcessInfo.processInfo.environment) == nil {
            throw ValidationError("Neither SUDO_USER nor USER is set: say with --as who you are.")
        }
    }

    var audit: Audit {
        Audit(
            actor: Self.actor(given: actor, environment: ProcessInfo.processInfo.environment) ?? "unknown",
            reason: reason ?? "")
    }

    static func actor(given: String?, environment: [String: String]) -> String? {
        [given, environment["SUDO_USER"], environment["USER"]].lazy.compactMap { $0 }.first { !$0.isEmpty }
    }
}
