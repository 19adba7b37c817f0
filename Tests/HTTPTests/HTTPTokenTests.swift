import Foundation
import HTTP
import Logging
import TestKit
import Testing

@Suite struct HTTPTokenTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "millrace-tokens-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func file(_ name: String, _ text: String) throws -> String {
        let url = folder.appending(path: name)
        try Data(text.utf8).write(to: url, options: .atomic)
        return url.path
    }

    private static let routes = [
        HTTPRoute("/v1/orders") { _ in text("orders") },
        HTTPRoute("/", isPublic: true) { _ in text("page") },
    ]

    private static func bearer(_ token: String) -> String { "Authorization: Bearer \(token)\r\n" }

    @Test func aRequestNeedsOneOfTheTokens() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let tokens = try TokenSource(files: [
            file("one", "# ours\nfirst-token-of-many\n\n  second.token_of~many=  \r\n"),
            file("two", "third+token/of+many"),
        ])
        try await ServedHTTP.run(Self.routes) {
            $0.tokens = tokens
        } _: { server in
            let client = try server.client()
            for token in ["first-token-of-many", "second.token_of~many=", "third+token/of+many"] {
                #expect(try await client.get("/v1/orders", headers: Self.bearer(token)).status == 200, "\(token)")
            }
            #expect(
                try await client.get("/v1/orders", headers: "authorization: bearer third+token/of+many\r\n").status
                    == 200)

            let without = try await client.get("/v1/orders")
            #expect(without.status == 401)
            #expect(without.header("www-authenticate") == #"Bearer realm="millrace""#)
            #expect(without.header("content-type") == "application/problem+json")
            let wrong = [
                "first-token-of-man", "first-token-of-many x", "first-token-of-manyy", "", "# ours",
                "first-token-of-manz",
            ]
            for token in wrong.map(Self.bearer) + [
                "Authorization: Basic first-token-of-many\r\n", "Authorization:\r\n",
            ] {
                #expect(try await client.get("/v1/orders", headers: token).status == 401, "\(token)")
            }
            #expect(
                try await client.get("/v1/orders", headers: Self.bearer("wrong-token-of-many")).header(
                    "www-authenticate")
                    == #"Bearer realm="millrace", error="invalid_token""#)
            #expect(try await client.get("/").body == "page")
        }
    }

    @Test func changedFilesAreReadAgain() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = try file("tokens", "the-first-of-tokens\n")
        let tokens = try TokenSource(files: [path])
        try await ServedHTTP.run(Self.routes) {
            $0.tokens = tokens
        } _: { server in
            let client = try server.client()
            func status(_ token: String) async throws -> Int {
                try await client.get("/v1/orders", headers: Self.bearer(token)).status
            }
            #expect(try await status("the-first-of-tokens") == 200)
            _ = try file("tokens", "the-other-of-tokens\n")
            try await eventually { try await status("the-other-of-tokens") == 200 }
            #expect(try await status("the-first-of-tokens") == 401)
        }
    }

    @Test func aFileThatCannotBeUsedKeepsItsTokens() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = try file("tokens", "the-first-of-tokens\n")
        let tokens = try TokenSource(files: [path])
        let log = Notes<String>()
        let logger = Logger(label: "test") { _ in NotingLogHandler(log) }
        func reload() { tokens.reload(logger: logger) }
        reload()
        #expect(log.all.isEmpty)

        _ = try file("tokens", "short\n")
        reload()
        reload()
        #expect(log.all.count == 1 && log.all[0].contains("tokens:1: a token must have at least 16 characters"))
        #expect(!log.all[0].contains("short"))
        _ = try file("tokens", "the-other-of-tokens\n")
        reload()
        #expect(log.all.count == 2 && log.all[1].contains("reloaded the tokens"))
    }

    @Test func aFileThatIsGoneTakesItsTokensAlong() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let (gone, kept) = (try file("gone", "the-first-of-tokens\n"), try file("kept", "the-other-of-tokens\n"))
        let tokens = try TokenSource(files: [gone, kept])
        try await ServedHTTP.run(Self.routes) {
            $0.tokens = tokens
        } _: { server in
            let client = try server.client()
            func status(_ token: String) async throws -> Int {
                try await client.get("/v1/orders", headers: Self.bearer(token)).status
            }
            #expect(try await status("the-first-of-tokens") == 200)
            try FileManager.default.removeItem(atPath: gone)
            try await eventually { try await status("the-first-of-tokens") == 401 }
            #expect(try await status("the-other-of-tokens") == 200)
            try FileManager.default.removeItem(atPath: kept)
            try await eventually { try await status("the-other-of-tokens") == 401 }
            #expect(try await client.get("/v1/orders").status == 401, "without any token every request is refused")
            _ = try file("gone", "the-third-of-tokens\n")
            try await eventually { try await status("the-third-of-tokens") == 200 }
        }
    }

    @Test(arguments: [
        ("", "there is no token in"), ("# none\n", "there is no token in"),
        ("short", ":1: a token must have at least 16"),
        ("fine-token-of-many\nnot!a!fine!token!here", ":2: a token may contain only letters"),
        ("fine-token-of-many other", ":1: only tenant=NAME, with a name"),
        ("fine-token-of-many tenant=one", ":1: the token has a tenant, but this service does not support tenants"),
        ("fine-token-of-many tenant=", ":1: only tenant=NAME, with a name"),
        ("fine-token-of-many tenant=a b", ":1: only tenant=NAME, with a name"),
    ])
    func filesWithoutUsableTokensAreRefused(contents: String, problem: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = try file("tokens", contents)
        let error = #expect(throws: TokenSource.FileError.self) { try TokenSource(files: [path]) }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
        #expect(throws: TokenSource.FileError.self) { try TokenSource(files: [folder.path]) }
        #expect(throws: TokenSource.FileError.self) { try TokenSource(files: [path + ".missing"]) }
    }

    @Test func beyondLoopbackTokensAreNeeded() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        var configuration = HTTPServerConfiguration()
        for host in ["127.0.0.1", "127.1.2.3", "localhost", "::1"] {
            configuration.host = host
            #expect(throws: Never.self) { try configuration.validate() }
        }
        for host in [
            "0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "127.0.0", "localhost.example",
        ] {
            configuration.host = host
            #expect(throws: HTTPServerConfiguration.Invalid.self, "\(host)") { try configuration.validate() }
        }
        configuration.host = "0.0.0.0"
        await #expect(throws: HTTPServerConfiguration.Invalid.self) {
            let logger = Logger(label: "test")
            try await HTTPServer(configuration: configuration, routes: HTTPRoutes([]), logger: logger).run()
        }
        configuration.allowUnauthenticated = true
        #expect(throws: Never.self) { try configuration.validate() }
        configuration.allowUnauthenticated = false
        configuration.tokens = try TokenSource(files: [file("tokens", "a-token-of-tokens")])
        #expect(throws: Never.self) { try configuration.validate() }
    }
}

private struct NotingLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    private let notes: Notes<String>

    init(_ notes: Notes<String>) {
        self.notes = notes
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        notes.add("\(event.message) \(event.metadata ?? [:])")
    }
}
