/// What a private PostgreSQL server is like.
public struct PostgresServerConfiguration: Sendable {
    /// Where it listens besides its Unix socket.
    public enum TCP: Sendable, Hashable {
        /// Nowhere.
        case none
        /// On 127.0.0.1, on a port that is free.
        case freePort
        /// On 127.0.0.1, on this port.
        case port(Int)
    }

    /// The folder that holds all of the server: `data`, `log`, and its socket if the path is short enough.
    public var folder: String
    /// The server's own settings (`postgresql.conf`) that differ from its defaults.
    public var settings: [String: String]
    public var tcp: TCP
    /// Whether the folder is deleted when the server stops, however it stops.
    public var isTemporary: Bool
    /// Milliseconds until a start that does not succeed is given up. Crash recovery counts.
    public var startTimeoutMs = 60_000

    public init(folder: String, settings: [String: String] = [:], tcp: TCP = .none, isTemporary: Bool = false) {
        self.folder = folder
        self.settings = settings
        self.tcp = tcp
        self.isTemporary = isTemporary
    }

    /// Settings for data that nobody will miss when the machine fails: no write waits for the disk. A server that
    /// crashes still loses nothing that it committed.
    public static let withoutDurability = ["fsync": "off", "full_page_writes": "off", "max_connections": "200"]
}

/// A private server could not be set up, started or stopped.
public struct PostgresServerError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// There is no PostgreSQL server on this machine.
        case notInstalled
        /// We are root, and the user who runs the server in our place may not enter the folder.
        case folderUnreachable
        /// The system or the server refused.
        case failed
    }

    /// What kind of thing failed.
    public let code: Code
    /// What failed, why, and what to do about it.
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}
