internal import Blocking
internal import Foundation

/// The folder in which `millrace dev` keeps everything: the database, the daemons' configurations and logs.
struct DevFolder {
    let path: String
    /// Held as long as this session lives; the kernel lets it go with the process.
    private let lock: Int32

    /// Opens the folder, making it if there is none.
    ///
    /// - Throws: ``CommandFailure`` when another `millrace dev` uses it.
    init(path: String) throws {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        self.path = absolute
        do {
            try FileManager.default.createDirectory(
                atPath: "\(absolute)/log", withIntermediateDirectories: true)
            try FileManager.default.createDirectory(
                atPath: "\(absolute)/config", withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("cannot make \(absolute): \(error.localizedDescription)", .unavailable)
        }
        // SAFETY: the path is copied by the kernel.
        lock = unsafe open("\(absolute)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else {
            throw CommandFailure(SystemError("cannot open \(absolute)/lock", errno).description, .unavailable)
        }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            throw CommandFailure(
                "another `millrace dev` is running on \(absolute). Stop it, or choose another folder with --data.",
                .unavailable)
        }
    }

    /// Whether the other commands look here by themselves.
    var isDefault: Bool { path == URL(fileURLWithPath: Self.defaultPath()).standardizedFileURL.path }

    /// Where the last session's events were; nil before the first one.
    var lastCluster: String? { try? String(contentsOfFile: "\(path)/cluster", encoding: .utf8) }

    func remember(cluster: String) throws {
        try Data(cluster.utf8).write(to: URL(fileURLWithPath: "\(path)/cluster"), options: .atomic)
    }

    /// Where a broker of the session's keeps its data.
    var brokerFolder: String { "\(path)/kafka" }

    /// Identifies the data in ``brokerFolder``. It is stored in that folder, so a deleted folder gets a new identity.
    func brokerIdentity() throws -> String {
        let file = "\(brokerFolder)/identity"
        if let known = try? String(contentsOfFile: file, encoding: .utf8) { return known }
        let new = "broker \(UUID().uuidString.lowercased())"
        try Data(new.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
        return new
    }

    /// Whether the cluster is known not to hold the events of all orders.
    var hasIncompleteHistory: Bool { FileManager.default.fileExists(atPath: "\(path)/incomplete-history") }

    func remember(hasIncompleteHistory: Bool) throws {
        let file = "\(path)/incomplete-history"
        if hasIncompleteHistory {
            try Data().write(to: URL(fileURLWithPath: file), options: .atomic)
        } else {
            try? FileManager.default.removeItem(atPath: file)
        }
    }

    func logFile(of daemon: String) -> String { "\(path)/log/\(daemon).log" }
    func configurationFile(of daemon: String) -> String { "\(path)/config/\(daemon).toml" }

    /// Where the folder is when the user names none.
    ///
    /// PostgreSQL refuses to run as root; started by root, its server runs as another user, who must be allowed to
    /// enter the folder. Where that is not so (below /root, for instance) a folder in /var/tmp is taken.
    static func defaultPath() -> String {
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
