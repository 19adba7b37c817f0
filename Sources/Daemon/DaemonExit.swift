internal import HTTP
internal import Migrations
internal import Settings
internal import StreamCore

/// How a daemon ends. The numbers are those of `sysexits.h` where it has one, so that supervisors can tell what a
/// restart cannot mend: systemd's `RestartPreventExitStatus=64 78`.
///
/// A second signal while stopping ends the process at once with 128 and the signal's number: 130 for SIGINT, 143 for
/// SIGTERM. Nothing is lost by it, as by every crash.
public enum DaemonExit: Int32, Sendable {
    /// It was asked to stop, and did.
    case ok = 0
    /// The command line is wrong (the argument parser ends the process with it).
    case usage = 64
    /// `--check=online` could not reach a server.
    case unavailable = 69
    /// A fault of ours.
    case `internal` = 70
    /// It cannot go on now, and may after a restart; a stop that took too long, too.
    case temporary = 75
    /// The configuration is wrong, or the database's schema is missing or too old: somebody must change something. Only
    /// before the start has succeeded; what fails later is waited for.
    case configuration = 78

    /// What an error that ended a daemon means.
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
