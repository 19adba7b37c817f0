internal import Blocking
internal import CommandSupport
internal import Foundation

/// The folder in which `millrace dev` stores everything: the database, the configuration files and the logs of the
/// daemons.
struct DevFolder {
    let path: String
    /// The lock of this session. The kernel releases it when the process ends.
    private let lock: Int32

    /// Opens the folder, and creates it if it does not exist.
    ///
    /// - Throws: ``CommandFailure`` if another `millrace dev` uses it.
    init(path: String) throws {
        let absolute = URL(fileURLWithPath: path).standardizedFileURL.path
        self.path = absolute
        do {
            try FileManager.default.createDirectory(
                atPath: "\(absolute)/log", withIntermediateDirectories: true)
            try FileManager.default.createDirectory(
                atPath: "\(absolute)/config", withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("cannot create \(absolute): \(error.localizedDescription)", .unavailable)
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

    /// Whether other commands search this folder by default.
    var isDefault: Bool { path == URL(fileURLWithPath: DefaultFolder.path()).standardizedFileURL.path }

    /// The name of the last session's cluster; nil before the first session.
    var lastCluster: String? { try? String(contentsOfFile: "\(path)/cluster", encoding: .utf8) }

    func remember(cluster: String) throws {
        try Data(cluster.utf8).write(to: URL(fileURLWithPath: "\(path)/cluster"), options: .atomic)
    }

    /// The folder of the data of a private broker.
    var brokerFolder: String { "\(path)/kafka" }

    /// Identifies the data in ``brokerFolder``. It is stored in that folder, so a deleted folder gets a new identity.
    func brokerIdentity() throws -> String {
        let file = "\(brokerFolder)/identity"
        if let known = try? String(contentsOfFile: file, encoding: .utf8) { return known }
        let new = "broker \(UUID().uuidString.lowercased())"
        try Data(new.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
        return new
    }

    /// Whether the cluster lacks the events of some orders.
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
}
