/// The configuration of a private PostgreSQL server.
public struct PostgresServerConfiguration: Sendable {
    /// The TCP address of the server, in addition to its Unix socket.
    public enum TCP: Sendable, Hashable {
        /// None.
        case none
        /// A free port of 127.0.0.1.
        case freePort
        /// This port of 127.0.0.1.
        case port(Int)
    }

    /// The folder of the server: `data`, `log`, and its socket if the path is short enough.
    public var folder: String
    /// Settings of the server (`postgresql.conf`) that differ from its defaults.
    public var settings: [String: String]
    public var tcp: TCP
    /// Whether the folder is deleted when the server stops in any way.
    public var isTemporary: Bool
    /// Maximum time for a start, including crash recovery, in milliseconds.
    public var startTimeoutMs = 60_000

    public init(folder: String, settings: [String: String] = [:], tcp: TCP = .none, isTemporary: Bool = false) {
        self.folder = folder
        self.settings = settings
        self.tcp = tcp
        self.isTemporary = isTemporary
    }

    /// Settings for data that need not survive a failure of the machine: no write waits for the disk. If only the
    /// server crashes, it loses no committed data.
    public static let withoutDurability = ["fsync": "off", "full_page_writes": "off", "max_connections": "200"]
}

/// The reason why a private server could not be created, started or stopped.
public struct PostgresServerError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// No PostgreSQL server is installed on this machine.
        case notInstalled
        /// This process runs as root, and the user that runs the server may not enter the folder.
        case folderUnreachable
        /// The system or the server returned an error.
        case failed
    }

    /// The kind of the error.
    public let code: Code
    /// What failed, why, and what to do.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
