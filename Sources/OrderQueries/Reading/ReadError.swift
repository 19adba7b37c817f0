internal import HTTP
internal import Postgres
internal import StreamCore

/// Why a read has no answer.
enum ReadError: Error, Sendable {
    /// There is no connection to the database, or it broke twice.
    case unavailable
    /// Too many wait, or it has waited for too long.
    case overloaded
    /// The statement took too long.
    case deadlineExceeded
    /// The client went away, or the service stops.
    case cancelled
    /// The database refused the statement.
    case refused(PostgresError)

    /// As clients see it; what is our own fault is left to the server's own answer.
    var problem: any Error {
        switch self {
        case .unavailable: Problems.unavailable()
        case .overloaded: Problems.overloaded()
        case .deadlineExceeded: Problems.deadlineExceeded()
        case .cancelled: CancellationError()
        case .refused(let error): error
        }
    }

    /// What an error of the database means for a read.
    init(_ error: PostgresError) {
        switch error.code {
        case .deadlineExceeded: self = .deadlineExceeded
        case .cancelled: self = .cancelled
        default:
            if error.sqlState == .queryCanceled {
                self = .deadlineExceeded
            } else if error.endsConnection || error.kind == .transient
                || error.sqlState?.mayBeOutdatedStatement == true
            {
                self = .unavailable
            } else {
                self = .refused(error)
            }
        }
    }
}

extension PostgresError {
    /// Whether the same statement may succeed at once: the view behind it was just replaced, and what the session had
    /// prepared, or what another session could still see, is gone.
    var comesOfReplacedView: Bool {
        switch sqlState?.code {
        // A prepared statement's result has another type; is not known; the table was dropped or renamed meanwhile, or
        // between parsing and opening it.
        case "0A000", "26000", "42P01", "XX000": true
        default: false
        }
    }
}
