package import ArgumentParser

/// The reason why a command failed: the message, with advice, and the exit code.
package struct CommandFailure: Error {
    package let message: String
    package let exitCode: ExitCode

    package init(_ message: String, _ exitCode: ExitCode) {
        self.message = message
        self.exitCode = exitCode
    }
}

extension ExitCode {
    /// Nothing matches the request, or nothing that matches may be changed.
    package static let nothingMatched = ExitCode(1)
    /// `EX_UNAVAILABLE` of sysexits.h: a server cannot be reached, or refuses.
    package static let unavailable = ExitCode(69)
    /// `EX_SOFTWARE`: an internal error.
    package static let software = ExitCode(70)
    /// `EX_IOERR`: something cannot be read or written.
    package static let inputOutput = ExitCode(74)
    /// `EX_CONFIG`: the configuration or the schema is wrong.
    package static let configuration = ExitCode(78)
}
