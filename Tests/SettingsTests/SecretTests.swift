import Foundation
import Settings
import Testing

@Suite struct SecretTests {
    private let folder: Folder
    private let secret = "hunter2-and-more"

    init() throws {
        folder = try Folder()
        try folder.write("pg-password", secret + "\n")
    }

    @Test(arguments: [
        "password = { file = \"pg-password\" }", "password = { env = \"PG\" }", "[database.password]\nenv = \"PG\"",
    ])
    func references(_ line: String) throws {
        let file = try folder.write("m.toml", required + line)
        let settings = try Sample.load(SettingsSources(file: file, environment: ["PG": secret])).settings
        #expect(settings.password?.reveal() == secret)
    }

    @Test(arguments: [
        (0o600, nil), (0o640, nil), (0o400, nil), (0o644, "mode 0644: every user of this machine can read it"),
        (0o660, "mode 0660: its group can change it"), (0o666, "mode 0666: every user of this machine can change it"),
    ])
    func filesThatOthersCanReadAreWarnedOf(mode: Int, warning: String?) throws {
        for name in ["pg-password", "sasl-password"] {
            try folder.write(name, secret)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: folder.path + "/" + name)
        }
        let file = try folder.write(
            "m.toml",
            required + "password = { file = \"pg-password\" }\n"
                + "[kafka.properties]\n\"sasl.password\" = { file = \"sasl-password\" }\n")
        let warnings = try Sample.load(SettingsSources(file: file)).warnings
        #expect(warnings.count == (warning == nil ? 0 : 2))
        for text in warnings {
            #expect(text.contains(warning ?? "") && text.contains(folder.path) && !text.contains(secret), "\(text)")
        }
    }

    @Test func filesAreFoundInTheCredentialsFolderFirst() throws {
        try folder.write("conf.d/pg-password", "from systemd")
        let file = try folder.write("m.toml", required + "password = { file = \"pg-password\" }")
        let environment = ["CREDENTIALS_DIRECTORY": folder.path + "/conf.d"]
        let settings = try Sample.load(SettingsSources(file: file, environment: environment)).settings
        #expect(settings.password?.reveal() == "from systemd")
    }

    /// The program itself reads these files, from the same folders in which other secrets are found.
    @Test func filesOfTheProgramsOwnAreFoundInTheSameFolders() throws {
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o644], ofItemAtPath: folder.path + "/pg-password")
        let file = try folder.write("m.toml", required + "token_files = [\"pg-password\", \"/abs/tokens\"]")
        let beside = try Sample.load(SettingsSources(file: file))
        #expect(beside.settings.tokens == [folder.path + "/pg-password", "/abs/tokens"])
        #expect(beside.warnings.count == 1, "\(beside.warnings)")
        let environment = ["CREDENTIALS_DIRECTORY": "/run/credentials/unit"]
        let given = try Sample.load(SettingsSources(file: file, environment: environment)).settings.tokens
        #expect(given == ["/run/credentials/unit/pg-password", "/abs/tokens"])
        let overrides = ["database.token_files=own"]
        let named = try Sample.load(SettingsSources(file: file, overrides: overrides)).settings.tokens
        #expect(named == ["own"], "relative to the working directory only")
    }

    @Test func aHigherLayerReplacesTheWholeReference() throws {
        let file = try folder.write("m.toml", required + "password = { env = \"NONE\" }")
        let sources = SettingsSources(file: file, overrides: ["database.password.file=\(folder.path)/pg-password"])
        #expect(try Sample.load(sources).settings.password?.reveal() == secret)
    }

    @Test(arguments: [
        ("\"hunter2\"", "a secret must not be written here; give { file = \"…\" } or { env = \"…\" }"),
        ("{ file = \"a\", env = \"b\" }", "a secret must be given as { file = \"…\" } or { env = \"…\" }"),
        ("{ path = \"hunter2\" }", "a secret must be given as { file = \"…\" } or { env = \"…\" }"),
        ("{ file = \"\" }", "names no file"),
        ("{ env = \"NONE\" }", "the environment has no variable NONE"),
        ("{ file = \"none\" }", "secret file none: no such file"),
    ])
    func wrongReferences(_ value: String, _ problem: String) throws {
        let file = try folder.write("m.toml", required + "password = " + value)
        #expect(
            problems(of: SettingsSources(file: file), in: folder) == "m.toml:5:1: database.password: \(problem)")
    }

    @Test func aCommandLineIsNoPlaceForOne() throws {
        let file = try folder.write("m.toml", required)
        #expect(
            problems(of: SettingsSources(file: file, overrides: ["database.password=hunter2"]), in: folder)
                == """
                --set database.password: other users can read secrets on a command line; \
                set database.password.file or database.password.env
                """)
    }

    @Test(arguments: [
        (
            "kafka.properties.sasl.password=hunter2",
            "--set kafka.properties.sasl.password: other users can read secrets on a command line; set "
                + "kafka.properties.sasl.password.file or kafka.properties.sasl.password.env"
        ),
        (
            "database.url=postgres://me:hunter2@h/d",
            "--set database.url: other users can read passwords on a command line; remove it and set "
                + "database.password.file or database.password.env, or set the whole URL as MILLRACE_DATABASE__URL"
        ),
        (
            "database.url=postgres://h/d?password=hunter2",
            "--set database.url: other users can read passwords on a command line; remove it and set "
                + "database.password.file or database.password.env, or set the whole URL as MILLRACE_DATABASE__URL"
        ),
    ])
    func aCommandLineIsNoPlaceForOneWithinOtherSettings(_ override: String, _ problem: String) throws {
        let file = try folder.write("m.toml", required)
        let said = problems(of: SettingsSources(file: file, overrides: [override]), in: folder)
        #expect(said.hasSuffix(problem), "\(said)")
        #expect(!said.contains("hunter2"))
    }

    @Test func aCommandLineMayNameWhereOneIs() throws {
        let file = try folder.write("m.toml", required)
        let overrides = [
            "kafka.properties.sasl.password.file=\(folder.path)/pg-password", "database.url=postgres://me@h/d",
            "database.password.env=PG",
        ]
        let settings = try Sample.load(
            SettingsSources(file: file, environment: ["PG": "from outside"], overrides: overrides)
        ).settings
        #expect(settings.properties == ["sasl.password": secret])
        #expect(settings.url == "postgres://me@h/d" && settings.password?.reveal() == "from outside")
    }

    @Test func propertiesMayBeSecret() throws {
        let text = required + "[kafka.properties]\nsasl.password = { file = \"pg-password\" }\nsasl.username = \"me\"\n"
        let loaded = try Sample.load(SettingsSources(file: try folder.write("m.toml", text)))
        #expect(loaded.settings.properties == ["sasl.password": secret, "sasl.username": "me"])
        let report = loaded.report(origins: true)
        #expect(!report.contains(secret))
        #expect(report.contains("\"sasl.password\" = <hidden>"))
    }

    @Test func theyAreNeverShown() throws {
        let text = """
            [kafka]
            servers = "k"
            [kafka.properties]
            "ssl.key.password" = "\(secret)"
            [database]
            url = "postgresql://me:\(secret)@host:5432/db?sslpassword=\(secret)&a=b"
            password = { file = "pg-password" }
            """
        let loaded = try Sample.load(SettingsSources(file: try folder.write("m.toml", text)))
        let report = loaded.report(origins: true)
        #expect(!report.contains(secret))
        #expect(report.contains("postgresql://me:<hidden>@host:5432/db?sslpassword=<hidden>&a=b"))
        var dumped = ""
        dump(loaded.settings.password, to: &dumped)
        #expect("\(loaded.settings.password as Any)\(dumped)".contains(secret) == false)
        #expect(loaded.settings.url.contains(secret), "only the shown text is redacted")
    }

    @Test(arguments: [
        "postgres://me:hun/ter2@h/d", "postgres://me:hun@ter2@h/d", "postgres://me:hun?ter2@h/d",
        "postgres://h/d?user=me&password=hunter2",
    ])
    func urlsWithBadlyEscapedPasswords(_ url: String) throws {
        let sources = SettingsSources(
            environment: ["MILLRACE_DATABASE__URL": url, "MILLRACE_KAFKA__SERVERS": "k"])
        let report = try Sample.load(sources).report(origins: false)
        #expect(!report.contains("ter2"), "\(report)")
        #expect(report.contains("<hidden>"))
    }
}
