internal import Foundation

/// A reference to a secret: `{ file = "…" }` or `{ env = "…" }`.
enum SecretReference {
    /// A file, and the configuration file that names it, if any.
    case file(String, namedIn: String?)
    case environment(String)

    private static let forms = "{ file = \"…\" } or { env = \"…\" }"

    init(_ found: LocatedValue) throws(Rejection) {
        switch (found.value, found.origin) {
        case (.text, .environment(let variable)):
            self = .environment(variable)
        case (.table(let table), let origin):
            guard let reference = try SecretReference(table, origin: origin) else {
                throw Rejection(text: "a secret must be given as \(Self.forms)")
            }
            self = reference
        case (.text, .commandLine(let key)):
            throw Self.onCommandLine(key)
        default:
            throw Rejection(text: "a secret must not be written here; give \(Self.forms)")
        }
    }

    /// The problem with a secret on the command line, which process lists and shell histories show.
    static func onCommandLine(_ key: String) -> Rejection {
        Rejection(text: "other users can read secrets on a command line; set \(key).file or \(key).env")
    }

    /// - Returns: nil if the table is not a reference.
    init?(_ table: [String: LocatedValue], origin: Origin) throws(Rejection) {
        guard table.count == 1, let (key, located) = table.first, key == "file" || key == "env" else { return nil }
        let name = try located.value.string { $0.isEmpty ? "names no \(key == "file" ? "file" : "variable")" : nil }
        if key == "env" {
            self = .environment(name)
        } else {
            self.init(file: name, namedAt: origin)
        }
    }

    init(file name: String, namedAt origin: Origin) {
        if case .file(let path, _) = origin {
            self = .file(name, namedIn: path)
        } else {
            self = .file(name, namedIn: nil)
        }
    }

    /// Reads the secret. A line end at the end of a file, which editors add, is removed.
    func resolve(_ sources: SettingsSources) throws(Rejection) -> Secret {
        switch self {
        case .environment(let name):
            guard let value = sources.environment[name] else {
                throw Rejection(text: "the environment has no variable \(name)")
            }
            return Secret(value)
        case .file:
            let path = filePath(sources) ?? ""
            do {
                var text = try contents(of: path)
                if text.last?.isNewline == true { text.removeLast() }
                return Secret(text)
            } catch {
                throw Rejection(text: "secret file \(path): \(error.text)")
            }
        }
    }

    /// The path of the file; nil for a variable.
    func filePath(_ sources: SettingsSources) -> String? {
        guard case .file(let name, let configuration) = self else { return nil }
        return Self.path(of: name, namedIn: configuration, credentials: sources.environment[Self.credentials])
    }

    /// The environment variable in which systemd passes the folder of `LoadCredential=`.
    private static let credentials = "CREDENTIALS_DIRECTORY"

    private static func path(of name: String, namedIn configuration: String?, credentials: String?) -> String {
        if name.hasPrefix("/") { return name }
        if let credentials, !credentials.isEmpty { return credentials + "/" + name }
        guard let configuration, let slash = configuration.lastIndex(of: "/") else { return name }
        return configuration[...slash] + name
    }
}

/// Describes what is wrong with the permissions of a file that contains a secret; nil if nothing is wrong or the file
/// does not exist.
func exposure(ofSecretFile path: String) -> String? {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
        let permissions = (attributes[.posixPermissions] as? NSNumber)?.intValue, permissions & 0o027 != 0
    else { return nil }
    let who = permissions & 0o007 != 0 ? "every user of this machine" : "its group"
    return "secret file \(path) has mode 0\(String(permissions & 0o777, radix: 8)): \(who) can "
        + "\(permissions & 0o022 != 0 ? "change" : "read") it; set 0600, or 0640 for a group that may read it"
}

// MARK: - hiding secrets

/// Detects secrets that must not be shown or written on a command line.
public enum SecretText {
    /// Whether a URL (`scheme://…`) contains a password, or text that may be one.
    public static func isInURL(_ url: String) -> Bool { withoutPassword(url: url) != url }

    /// Whether the value of a free key, such as librdkafka's `sasl.password`, is a secret.
    public static func isValue(of property: String) -> Bool { isSecret(property: property) }
}

/// The URL without its password: `scheme://user:<hidden>@host/…`. A `password=` in its query is hidden too.
func withoutPassword(url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return Secret.hidden }
    var rest = String(url[scheme.upperBound...])
    let authorityEnd = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    // A password may contain an unescaped "/", so the user part ends at the last "@" of the URL.
    let at = rest.lastIndex(of: "@")
    if let at, let colon = rest.firstIndex(of: ":"), colon < at {
        rest.replaceSubrange(rest.index(after: colon)..<at, with: Secret.hidden)
    } else if let at, at > authorityEnd {
        return Secret.hidden
    }
    if let query = rest.firstIndex(of: "?") {
        let parameters = rest[rest.index(after: query)...].split(separator: "&").map { parameter -> String in
            guard let equals = parameter.firstIndex(of: "=") else { return String(parameter) }
            let name = parameter[..<equals]
            return isSecret(property: String(name)) ? "\(name)=\(Secret.hidden)" : String(parameter)
        }
        rest = rest[...query] + parameters.joined(separator: "&")
    }
    return url[..<scheme.upperBound] + rest
}

/// Whether the value of a free key, such as librdkafka's `sasl.password`, must be hidden.
func isSecret(property name: String) -> Bool {
    let name = name.lowercased()
    return ["password", "secret", "token", "jaas", "oauthbearer.config", "key.pem", "passphrase"]
        .contains { name.contains($0) }
}
