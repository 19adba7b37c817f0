internal import Foundation
internal import Glibc

/// The user that runs the server. PostgreSQL refuses to run as root.
enum ServerUser: Sendable {
    /// This process does not run as root. The server runs as the same user.
    case ourselves
    /// This process runs as root. The server runs as this user.
    case other(name: String, uid: uid_t, gid: gid_t)

    /// `postgres` if this user exists, otherwise `nobody`.
    static func current() throws(PostgresServerError) -> ServerUser {
        guard geteuid() == 0 else { return .ourselves }
        for name in ["postgres", "nobody"] {
            // SAFETY: the entry is static memory of the C library, copied before the next call.
            if let entry = unsafe getpwnam(name) {
                return unsafe .other(name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid)
            }
        }
        throw PostgresServerError(.failed, "PostgreSQL cannot run as root, and no user postgres or nobody exists")
    }

    /// The arguments before a command that make it run as this user.
    var commandPrefix: [String] {
        switch self {
        case .ourselves: []
        case .other(_, let uid, let gid):
            ["/usr/bin/setpriv", "--reuid=\(uid)", "--regid=\(gid)", "--clear-groups", "--"]
        }
    }

    /// Creates `folder`, which only this user may enter.
    func makePrivateFolder(_ folder: String) throws(PostgresServerError) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw PostgresServerError(.failed, "cannot create the folder \(folder): \(error)")
        }
        guard case .other(let name, let uid, let gid) = self else { return }
        guard unsafe chown(folder, uid, gid) == 0 else {
            throw PostgresServerError(.failed, "cannot make \(name) the owner of \(folder): errno \(errno)")
        }
    }
}
