internal import CLibPQ

/// How to reach a PostgreSQL server, and what a session there is like.
public struct PostgresConfiguration: Sendable, Hashable {
    /// libpq's own connection parameters by their keywords (`host`, `port`, `user`, `dbname`, `sslmode`,
    /// `sslrootcert`, …); what is not here takes libpq's defaults, the `PG…` environment variables among them.
    ///
    /// The ones that the other properties of this type stand for are overridden by them.
    public var parameters: [String: String]
    /// The schema that unqualified names mean: the session's `search_path`, with ``searchedFirst``.
    public var schema = "public"
    /// Schemas that are searched before ``schema``: a name that both have means theirs, and what is made without a
    /// schema's name is made in the first one that exists.
    public var searchedFirst: [String] = []
    /// What the server's `pg_stat_activity` shows.
    public var applicationName = "millrace"
    /// Milliseconds until an attempt to connect fails, all hosts and name resolution after the first included.
    public var connectTimeoutMs = 5_000
    /// Milliseconds until the server cancels a statement; 0 for never.
    public var statementTimeoutMs = 30_000
    /// Milliseconds until the server gives up waiting for a lock; 0 for never.
    public var lockTimeoutMs = 10_000
    /// Milliseconds until the server ends a session that idles inside a transaction; 0 for never.
    public var idleInTransactionTimeoutMs = 60_000
    /// Milliseconds that sent data may stay unacknowledged before the kernel gives the connection up.
    public var tcpUserTimeoutMs = 15_000
    /// Seconds of silence after which the kernel probes the connection.
    public var keepaliveIdleSeconds = 10
    /// Seconds between such probes; three unanswered ones end the connection.
    public var keepaliveIntervalSeconds = 5
    /// Further settings of the session by the server's names, `synchronous_commit` and the like.
    public var settings: [String: String] = [:]

    /// Which servers a session may be with.
    public enum Access: Sendable, Hashable {
        /// One that takes writes. Among several hosts the first such one is chosen (libpq's
        /// `target_session_attrs=read-write`); where none is, the connection fails and may be tried again. A session
        /// whose server stops taking writes is ended: the next one looks for the primary.
        case readWrite
        /// Any server, or the one that the parameter `target_session_attrs` asks for.
        case any
    }

    /// Which servers a session may be with. Sessions that set `default_transaction_read_only` themselves take any.
    public var access = Access.readWrite

    /// Whether a server that takes no writes is the wrong one.
    var needsWrites: Bool { access == .readWrite && settings["default_transaction_read_only"] != "on" }

    /// - Parameter parameters: libpq's connection parameters by their keywords.
    public init(parameters: [String: String] = [:]) {
        self.parameters = parameters
    }

    /// - Parameters:
    ///   - host: a name, an address, or the folder of a Unix socket.
    ///   - password: nil for none.
    public init(host: String, port: Int = 5432, user: String, password: String? = nil, database: String) {
        parameters = ["host": host, "port": String(port), "user": user, "dbname": database]
        parameters["password"] = password
    }

    /// Reads a connection URL (`postgresql://user@host:port/database?sslmode=require`) or libpq's `key=value` text.
    ///
    /// - Throws: ``PostgresError/Code-swift.enum/configuration`` when libpq cannot parse it.
    public init(url: String) throws(PostgresError) {
        parameters = try ConnectionParameters.parse(url)
    }

    /// The host's name or address, or a socket's folder; nil for libpq's default.
    public var host: String? {
        get { parameters["host"] }
        set { parameters["host"] = newValue }
    }
    /// The server's port; nil for libpq's default.
    public var port: Int? {
        get { parameters["port"].flatMap { Int($0) } }
        set { parameters["port"] = newValue.map { String($0) } }
    }
    /// Who connects; nil for libpq's default.
    public var user: String? {
        get { parameters["user"] }
        set { parameters["user"] = newValue }
    }
    /// The user's password; nil for none or libpq's password file.
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

    /// The same: a secret is never printed.
    public var debugDescription: String { description }
}

/// What libpq is given to connect with.
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
        // A user's `primary` is as good: such a server takes writes unless it is told not to.
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

    /// The session's settings, sent in the startup packet so that they also hold after every reconnect.
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

    /// In `options`, white space separates and a backslash escapes (libpq's documentation of the keyword).
    private static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            if character == "\\" || character.isWhitespace { result.append("\\") }
            result.append(character)
        }
        return result
    }

    /// Takes a URL or `key=value` text apart.
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

/// Names in SQL text.
public enum SQLIdentifier {
    /// `name` in double quotes, so that it means itself whatever is in it.
    public static func quoted(_ name: String) -> String {
        "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
