internal import HTTP
internal import Migrations
internal import Settings
internal import StreamCore

/// The exit codes of a daemon. They follow `sysexits.h` where possible, so that supervisors can detect failures that a
/// restart does not fix: systemd's `RestartPreventExitStatus=64 78`.
///
/// A second signal during a shutdown ends the process at once with 128 plus the signal's number: 130 for SIGINT, 143
/// for SIGTERM. As in every crash, no event is lost.
public enum DaemonExit: Int32, Sendable {
    /// It stopped as requested.
    case ok = 0
    /// The command line is wrong. The argument parser uses this code.
    case usage = 64
    /// `--check=online` could not reach a server.
    case unavailable = 69
    /// An internal error.
    case `internal` = 70
    /// It cannot continue now, but may after a restart. Also: a shutdown took too long.
    case temporary = 75
    /// The configuration is wrong, or the database's schema is missing or too old, so a person must change something.
    /// This code is used only before the start has succeeded. Later, the daemon waits until such failures are over.
    case configuration = 78

    /// The exit code for an error that ended a daemon.
    init(_ error: any Error) {
        switch error {
        case is InvalidSettings, is MigrationError: self = .configuration
        case let error as any RemediableError:
            switch error.remedy {
            case .changeSetup: self = .configuration
            case .startAgain: self = .temporary
            }
        case is HTTPServer.BindError: self = .temporary
        case is HTTPServerConfiguration.Invalid: self = .configuration
        default: self = .internal
        }
    }
}
