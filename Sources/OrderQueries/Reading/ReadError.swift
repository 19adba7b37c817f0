internal import HTTP
internal import Postgres
internal import StreamCore

/// The reason why a read failed.
enum ReadError: Error, Sendable {
    /// There is no connection to the database, or it broke twice.
    case unavailable
    /// Too many reads wait, or this one has waited too long.
    case overloaded
    /// The statement took too long.
    case deadlineExceeded
    /// The client disconnected, or the service stops.
    case cancelled
    /// The database refused the statement.
    case refused(PostgresError)

    /// The error for the client. An error that is the service's own fault is returned unchanged, so that the server
    /// answers.
    var problem: any Error {
        switch self {
        case .unavailable: Problems.unavailable()
        case .overloaded: Problems.overloaded()
        case .deadlineExceeded: Problems.deadlineExceeded()
        case .cancelled: CancellationError()
        case .refused(let error): error
        }
    }

    /// Converts an error of the database.
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
    /// Whether the same statement may succeed now. The view that it reads was just replaced. Therefore a statement that
    /// the session has prepared, or a table that another session still saw, no longer exists.
    var comesOfReplacedView: Bool {
        switch sqlState?.code {
        // The result of a prepared statement has another type; the prepared statement does not exist; the table was
        // dropped or renamed before, or between parsing and opening it.
        case "0A000", "26000", "42P01", "XX000": true
        default: false
        }
    }
}
