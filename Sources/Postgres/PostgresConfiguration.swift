internal import CLibPQ

/// The address of a PostgreSQL server, and the settings of the sessions there.
public struct PostgresConfiguration: Sendable, Hashable {
    /// libpq's connection parameters by their keywords (`host`, `port`, `user`, `dbname`, `sslmode`, `sslrootcert`, …).
    /// A parameter that is not here has libpq's default, which may come from a `PG…` environment variable.
    ///
    /// Other properties of this type stand for some of the keywords, for example ``applicationName``. They take
    /// precedence.
    public var parameters: [String: String]
    /// The schema that unqualified names refer to. The session's `search_path` is ``searchedFirst`` followed by it.
    public var schema = "public"
    /// Schemas that the server searches before ``schema``. If both contain a name, these win. The server creates
    /// objects without a schema's name in the first schema of the path that exists.
    public var searchedFirst: [String] = []
    /// The name that the server's `pg_stat_activity` shows.
    public var applicationName = "millrace"
    /// Maximum time to connect, in milliseconds, for all hosts together. The time of name resolution counts too, but
    /// libpq cannot interrupt it.
    public var connectTimeoutMs = 5_000
    /// Maximum time of a statement before the server cancels it, in milliseconds; 0 for no limit.
    public var statementTimeoutMs = 30_000
    /// Maximum time that a statement waits for a lock, in milliseconds; 0 for no limit.
    public var lockTimeoutMs = 10_000
    /// Maximum time that a session may be idle inside a transaction before the server ends it, in milliseconds; 0 for
    /// no limit.
    public var idleInTransactionTimeoutMs = 60_000
    /// Maximum time that sent data may stay unacknowledged before the kernel closes the connection, in milliseconds.
    public var tcpUserTimeoutMs = 15_000
    /// Time without traffic after which the kernel sends a keepalive probe, in seconds.
    public var keepaliveIdleSeconds = 10
    /// Time between keepalive probes, in seconds. The kernel closes the connection after three unanswered probes.
    public var keepaliveIntervalSeconds = 5
    /// Other settings of the session by the server's names, for example `synchronous_commit`.
    public var settings: [String: String] = [:]

    /// The kind of server that a session accepts.
    public enum Access: Sendable, Hashable {
        /// A server that accepts writes. If there are several hosts, libpq takes the first such one
        /// (`target_session_attrs=read-write`). If there is none, connecting fails with an error that is worth a retry.
        /// If the server stops accepting writes, the session ends, so that the next one looks for the primary.
        case readWrite
        /// Any server, or the kind that the parameter `target_session_attrs` names.
        case any
    }

    /// The kind of server that a session accepts. A session that ``settings`` make read-only accepts any server.
    public var access = Access.readWrite

    /// Whether a session must not use a server that refuses writes.
    var needsWrites: Bool { access == .readWrite && settings["default_transaction_read_only"] != "on" }

    /// - Parameter parameters: libpq's connection parameters by their keywords.
    public init(parameters: [String: String] = [:]) {
        self.parameters = parameters
    }

    /// - Parameters:
    ///   - host: a host name, an address, or the folder of a Unix socket.
    ///   - port: the TCP port, or the number in the Unix socket's name.
    ///   - user: the role to connect as.
    ///   - password: the role's password, or nil.
    ///   - database: the name of the database.
    public init(host: String, port: Int = 5432, user: String, password: String? = nil, database: String) {
        parameters = ["host": host, "port": String(port), "user": user, "dbname": database]
        parameters["password"] = password
    }

    /// Reads a connection URL (`postgresql://user@host:port/database?sslmode=require`) or libpq's `key=value` text.
    ///
    /// - Throws: ``PostgresError/Code-swift.enum/configuration`` if libpq cannot parse it.
    public init(url: String) throws(PostgresError) {
        parameters = try ConnectionParameters.parse(url)
    }

    /// The host's name or address, or the folder of a Unix socket; nil for libpq's default.
    public var host: String? {
        get { parameters["host"] }
        set { parameters["host"] = newValue }
    }
    /// The server's port; nil for libpq's default.
    public var port: Int? {
        get { parameters["port"].flatMap { Int($0) } }
        set { parameters["port"] = newValue.map { String($0) } }
    }
    /// The role to connect as; nil for libpq's default.
    public var user: String? {
        get { parameters["user"] }
        set { parameters["user"] = newValue }
    }
    /// The role's password; nil for none or for libpq's password file.
    public var password: String? {
        get { parameters["password"] }
        set { parameters["password"] = newValue }
    }
    /// The database; nil for libpq's default.
    public var database: String? {
        get { parameters["dbname"] }
        set { parameters["dbname"] = newValue }
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomDebugStringConvertible {
    /// `user@host:port/database schema`, without any secret.
    public var description: String {
        "\(user ?? "")@\(host ?? ""):\(parameters["port"] ?? "")/\(database ?? "") \(schema)"
    }

    /// The same as ``description``, because secrets must never be printed.
    public var debugDescription: String { description }
}

/// The connection parameters for libpq.
enum ConnectionParameters {
    /// All keywords and values for `configuration`.
    static func keywords(for configuration: PostgresConfiguration) -> [(keyword: String, value: String)] {
        var merged = configuration.parameters
        merged["application_name"] = configuration.applicationName
        merged["client_encoding"] = "UTF8"
        merged["keepalives"] = "1"
        merged["keepalives_idle"] = String(configuration.keepaliveIdleSeconds)
        merged["keepalives_interval"] = String(configuration.keepaliveIntervalSeconds)
        merged["keepalives_count"] = "3"
        merged["tcp_user_timeout"] = String(configuration.tcpUserTimeoutMs)
        // A configured `primary` may stay: a primary accepts writes unless it is set to read-only.
        if configuration.needsWrites && merged["target_session_attrs"] != "primary" {
            merged["target_session_attrs"] = "read-write"
        }
        var options = configuration.parameters["options"].map { $0 + " " } ?? ""
        options += sessionSettings(of: configuration)
            .map { "-c \($0)=\(escaped($1))" }
            .joined(separator: " ")
        merged["options"] = options
        return merged.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// The session's settings. They are sent in the startup packet, so they also apply after a reconnect.
    private static func sessionSettings(of configuration: PostgresConfiguration) -> [(String, String)] {
        let path = (configuration.searchedFirst + [configuration.schema]).map(SQLIdentifier.quoted)
        let own = [
            ("search_path", path.joined(separator: ",")),
            ("statement_timeout", String(configuration.statementTimeoutMs)),
            ("lock_timeout", String(configuration.lockTimeoutMs)),
            ("idle_in_transaction_session_timeout", String(configuration.idleInTransactionTimeoutMs)),
        ]
        return own + configuration.settings.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Escapes a value for `options`, in which white space separates and a backslash escapes (libpq's documentation).
    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            if character == "\\" || character.isWhitespace { result.append("\\") }
            result.append(character)
        }
        return result
    }

    /// Parses a URL or `key=value` text.
    static func parse(_ text: String) throws(PostgresError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        // SAFETY: PQconninfoParse copies `text`; the answer is an array that ends with a NULL keyword and is freed
        // here, once; so is the message.
        guard let options = unsafe PQconninfoParse(text, &message) else {
            let reason = unsafe message.map { unsafe String(cString: $0) } ?? "out of memory"
            unsafe PQfreemem(message)
            throw PostgresError(.configuration, "cannot read the connection URL: \(reason.trimmedLine)")
        }
        defer { unsafe PQconninfoFree(options) }
        var result: [String: String] = [:]
        var option = unsafe options
        while let keyword = unsafe option.pointee.keyword {
            if let value = unsafe option.pointee.val {
                unsafe result[String(cString: keyword)] = unsafe String(cString: value)
            }
            unsafe option += 1
        }
        return result
    }
}

/// Quotes names in SQL text.
public enum SQLIdentifier {
    /// `name` in double quotes, with the double quotes in it doubled. SQL then takes any name literally.
    public static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
