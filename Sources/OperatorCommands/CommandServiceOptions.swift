internal import ArgumentParser
internal import CommandSupport
internal import Foundation
internal import OrderShop
internal import Settings

/// The options for the command-service of a command.
struct CommandServiceOptions: ParsableArguments {
    @Option(help: "With --via http: address of the command-service, http://host:port or https://host.")
    var url: String?

    @Option(
        help: ArgumentHelp(
            """
            With --via http: file with the bearer token. A relative path is resolved in $CREDENTIALS_DIRECTORY.
            """, valueName: "path"))
    var tokenFile: String?

    /// - Parameter isUsed: whether the command sends anything over HTTP.
    func validate(isUsed: Bool) throws {
        if !isUsed, url != nil || tokenFile != nil {
            throw ValidationError("--url and --token-file require --via http.")
        }
        if let url { try Self.check(url, of: "--url") }
    }

    private static func check(_ url: String, of option: String) throws {
        guard let parts = URLComponents(string: url), ["http", "https"].contains(parts.scheme), parts.host != nil,
            parts.query == nil, parts.fragment == nil
        else { throw ValidationError("\(option) must be http://host:port or https://host, with an optional path.") }
        if parts.user != nil || parts.password != nil {
            throw ValidationError("\(option): other users can read secrets on a command line. Use --token-file.")
        }
    }

    /// - Throws: if no service is given, or the token file is invalid.
    func configuration() throws -> CommandServiceClient.Configuration {
        guard let url = url ?? Endpoints.value(of: "COMMAND_SERVICE_URL") else {
            throw ValidationError(
                "No command-service: give --url, set COMMAND_SERVICE_URL, or run `millrace dev` here.")
        }
        try Self.check(url, of: "COMMAND_SERVICE_URL")
        var token: String?
        if let tokenFile {
            let text = try SecretFile(tokenFile, of: "--token-file").text
            guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw ValidationError("--token-file: the file must contain one token in one line, without spaces.")
            }
            token = text
        }
        return CommandServiceClient.Configuration(url: url, token: token)
    }
}
