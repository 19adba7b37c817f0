internal import Foundation

/// The folder that `millrace dev` uses by default. Other commands find the servers of a session there.
package enum DefaultFolder {
    /// PostgreSQL refuses to run as root. If this process runs as root, the server runs as another user, who must be
    /// able to enter the folder. If that is impossible (for example below /root), a folder in /var/tmp is used.
    package static func path() -> String {
        let here = FileManager.default.currentDirectoryPath
        guard geteuid() == 0, !canBeEnteredByAll(here) else { return ".millrace" }
        return "/var/tmp/millrace\(here.split(separator: "/").map { "-\($0)" }.joined())"
    }

    private static func canBeEnteredByAll(_ path: String) -> Bool {
        var folder = URL(fileURLWithPath: path).standardizedFileURL
        while true {
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder.path)
            let permissions = (attributes?[.posixPermissions] as? NSNumber)?.intValue ?? 0
            guard permissions & 0o001 != 0 else { return false }
            if folder.path == "/" { return true }
            folder.deleteLastPathComponent()
        }
    }
}
