internal import ArgumentParser
internal import Foundation
package import Kafka
package import Postgres
internal import Settings

/// The options for the database of a command.
package struct DatabaseOptions: ParsableArguments {
    @Option(help: "URL of the database: postgresql://user@host:port/database.")
    var database: String?

    @Option(
        help: ArgumentHelp(
            "File with the password, for a URL without one. A relative path is resolved in $CREDENTIALS_DIRECTORY.",
            valueName: "path"))
    var passwordFile: String?

    @Option(help: "Schema of the tables.")
    package var schema = "public"

    package init() {}

    /// - Parameters:
    ///   - applicationName: the name in the server's `pg_stat_activity`.
    ///   - access: whether a read-only server is sufficient.
    /// - Throws: if no database is given, or the URL is invalid.
    package func configuration(
        applicationName: String, access: PostgresConfiguration.Access = .readWrite
    ) throws -> PostgresConfiguration {
        guard let url = database ?? Endpoints.value(of: "DATABASE_URL") else {
            throw ValidationError("No database: give --database, set DATABASE_URL, or run `millrace dev` here.")
        }
        if let database { try Endpoints.refusePassword(inURL: database, of: "--database") }
        var configuration = try PostgresConfiguration(url: url)
        if let passwordFile {
            let password = try SecretFile(passwordFile, of: "--password-file").text
            if configuration.password == nil { configuration.password = password }
        }
        configuration.schema = schema
        configuration.applicationName = applicationName
        configuration.access = access
        return configuration
    }
}

/// The options for Kafka of a command.
package struct KafkaOptions: ParsableArguments {
    @Option(help: "Kafka's bootstrap servers: host:port,host:port.")
    var bootstrapServers: String?

    @Option(
        name: .customLong("kafka"),
        help: ArgumentHelp(
            """
            A property of librdkafka, such as security.protocol=SSL; may be repeated. Write a secret as a reference: \
            sasl.password.file=PATH or sasl.password.env=NAME.
            """, valueName: "name=value"))
    var properties: [String] = []

    package init() {}

    /// - Throws: if no servers are given, or a property is invalid.
    package func configuration(clientID: String) throws -> KafkaClientConfiguration {
        guard let servers = bootstrapServers ?? Endpoints.value(of: "KAFKA_BOOTSTRAP_SERVERS") else {
            throw ValidationError(
                "No Kafka: give --bootstrap-servers, set KAFKA_BOOTSTRAP_SERVERS, or run `millrace dev` here.")
        }
        var parsed: [String: String] = [:]
        for property in properties {
            guard let equals = property.firstIndex(of: "="), equals != property.startIndex else {
                throw ValidationError("--kafka takes name=value, not \"\(property)\".")
            }
            let (name, value) = try Self.property(
                String(property[..<equals]), String(property[property.index(after: equals)...]))
            parsed[name] = value
        }
        let configuration = KafkaClientConfiguration(
            bootstrapServers: servers, clientID: clientID, properties: parsed)
        let problems = configuration.validate()
        guard problems.isEmpty else {
            throw CommandFailure(problems.map(\.description).joined(separator: "; "), .configuration)
        }
        return configuration
    }
}

extension KafkaOptions {
    /// Resolves a property for librdkafka. A secret is read from its file or variable.
    static func property(
        _ name: String, _ value: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> (name: String, value: String) {
        for suffix in [".file", ".env"] where name.hasSuffix(suffix) {
            let secret = String(name.dropLast(suffix.count))
            guard SecretText.isValue(of: secret) else { continue }
            if suffix == ".env" {
                guard let text = environment[value] else {
                    throw ValidationError("--kafka \(name): the environment has no variable \(value).")
                }
                return (secret, text)
            }
            return (secret, try SecretFile(value, of: "--kafka \(name)", environment: environment).text)
        }
        guard !SecretText.isValue(of: name) else {
            throw ValidationError(
                """
                --kafka \(name): other users can read secrets on a command line. Use \
                --kafka \(name).file=PATH or --kafka \(name).env=NAME.
                """)
        }
        return (name, value)
    }
}

/// A secret in a file.
package struct SecretFile {
    /// The secret, without the line end that editors add.
    package let text: String

    /// - Parameters:
    ///   - name: the file's path. If `$CREDENTIALS_DIRECTORY` is set, a relative path is relative to it.
    ///   - option: the option's name, for the error message.
    /// - Throws: if the file cannot be read.
    package init(
        _ name: String, of option: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws {
        let folder = environment["CREDENTIALS_DIRECTORY"] ?? ""
        let path = name.hasPrefix("/") || folder.isEmpty ? name : folder + "/" + name
        guard var text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw ValidationError("\(option): cannot read \(path).")
        }
        if text.last?.isNewline == true { text.removeLast() }
        self.text = text
    }
}

/// The servers from the environment, or from the file that a running `millrace dev` writes.
package enum Endpoints {
    /// The name of the file in that folder. It contains lines NAME=value, which a shell can read too.
    package static let fileName = "dev.env"
    /// The variable that is set if Kafka lacks the events of some orders.
    package static let incompleteHistoryName = "MILLRACE_INCOMPLETE_HISTORY"
    /// The reason that `verify` reports in this case.
    package static let incompleteHistory = "this Kafka cluster was empty when orders already existed"

    package static func value(of name: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        if let value = environment[name], !value.isEmpty { return value }
        return read(folder: DefaultFolder.path())[name]
    }

    /// - Throws: if a URL on the command line contains a password. The message does not contain it.
    package static func refusePassword(inURL url: String, of option: String) throws {
        guard SecretText.isInURL(url) else { return }
        let other =
            option == "--database"
            ? ", or in one for --password-file; or give the whole URL as DATABASE_URL" : ""
        throw ValidationError(
            """
            \(option): other users can read passwords on a command line. Remove it, and set it in PGPASSWORD or in the \
            file that PGPASSFILE names\(other).
            """)
    }

    package static func read(folder: String) -> [String: String] {
        guard let text = try? String(contentsOfFile: "\(folder)/\(fileName)", encoding: .utf8) else { return [:] }
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
        }
        return values
    }

    package static func write(_ values: [(name: String, value: String)], folder: String) throws {
        let text = values.map { "\($0.name)=\($0.value)\n" }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(fileName)"), options: .atomic)
    }

    package static func remove(folder: String) {
        try? FileManager.default.removeItem(atPath: "\(folder)/\(fileName)")
    }
}
