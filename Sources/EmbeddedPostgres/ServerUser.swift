internal import Foundation
internal import Glibc

/// Who runs the server: PostgreSQL refuses to run as root.
enum ServerUser: Sendable {
    /// We are no root: the server runs as we do.
    case ourselves
    /// We are root: the server runs as this one.
    case other(name: String, uid: uid_t, gid: gid_t)

    /// `postgres` if there is such a user, else `nobody`.
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

    /// What to put before a command so that it runs as this user.
    var commandPrefix: [String] {
        switch self {
        case .ourselves: []
        case .other(_, let uid, let gid):
            ["/usr/bin/setpriv", "--reuid=\(uid)", "--regid=\(gid)", "--clear-groups", "--"]
        }
    }

    /// Makes `folder`, which only this user may enter.
    func makePrivateFolder(_ folder: String) throws(PostgresServerError) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw PostgresServerError(.failed, "cannot make the folder \(folder): \(error)")
        }
        guard case .other(let name, let uid, let gid) = self else { return }
        guard unsafe chown(folder, uid, gid) == 0 else {
            throw PostgresServerError(.failed, "cannot give the folder \(folder) to \(name): errno \(errno)")
        }
    }
}
