import Settings
import Testing

@Suite struct LayerTests {
    @Test func defaultsAreAtTheBottom() throws {
        let folder = try Folder()
        let settings = try Sample.load(SettingsSources(file: folder.write("m.toml", required))).settings
        #expect(settings.colour == .green)
        #expect(settings.rows == 1_000)
        #expect(settings.linger == 5)
        #expect(settings.drain == 30)
        #expect(settings.topics == ["a", "b"])
        #expect(settings.note == nil)
        #expect(settings.password == nil)
    }

    /// Every layer sets one key more than the layer above it, so each layer must win exactly once.
    @Test func higherLayersWin() throws {
        let folder = try Folder()
        let all = { (value: Int) in "[work]\nrows = \(value)00\n" }
        let file = try folder.write("m.toml", required + all(1) + "linger_ms = 1\ndrain_s = 1\nverbose = true\n")
        var sources = SettingsSources(file: file)
        #expect(try Sample.load(sources).settings.drain == 1)
        try folder.write("conf.d/10.toml", all(2) + "linger_ms = 2\ndrain_s = 2\n")
        try folder.write("conf.d/20.toml", all(3) + "linger_ms = 3\n")
        try folder.write("conf.d/30.toml.off", all(9))
        sources.environment = ["MILLRACE_WORK__ROWS": "400"]
        var settings = try Sample.load(sources).settings
        #expect(settings.rows == 400)
        #expect(settings.linger == 3)
        #expect(settings.drain == 2)
        #expect(settings.verbose)
        sources.overrides = ["work.rows=5_000"]
        settings = try Sample.load(sources).settings
        #expect(settings.rows == 5_000)
    }

    @Test func environmentAndCommandLineSpeakEveryType() throws {
        let environment = [
            "MILLRACE_LOG__COLOUR": "blue", "MILLRACE_LOG__NOTE": "a = \"b\"", "MILLRACE_WORK__VERBOSE": "true",
            "MILLRACE_WORK__TOPICS": "x, y,z", "MILLRACE_KAFKA__PROPERTIES__LINGER_MS": "7",
            "MILLRACE_DATABASE__SETTINGS__LOCK_TIMEOUT": "5s", "MILLRACE_DATABASE__SETTINGS__SHOP__MILL": "2",
            "MILLRACE_DATABASE__PASSWORD": "p w", "MILLRACE_UNRELATED": "1", "PATH": "/bin",
            "MILLRACE_KAFKA__SERVERS": "e:1",
        ]
        let sources = SettingsSources(
            environment: environment,
            overrides: ["database.url=postgres://c/x?a=b", "kafka.properties.socket.timeout.ms=9", "work.linger_ms=0"])
        let settings = try Sample.load(sources).settings
        #expect(settings.colour == .blue)
        #expect(settings.note == "a = \"b\"")
        #expect(settings.verbose)
        #expect(settings.topics == ["x", "y", "z"])
        #expect(settings.properties == ["linger.ms": "7", "socket.timeout.ms": "9"])
        #expect(settings.sessions == ["lock_timeout": "5s", "shop.mill": "2"])
        #expect(settings.password?.reveal() == "p w")
        #expect(settings.url == "postgres://c/x?a=b")
        #expect(settings.linger == 0)
    }

    @Test func aCommonVariableStandsBetweenTheFileAndOurOwn() throws {
        let folder = try Folder()
        var sources = SettingsSources(file: try folder.write("m.toml", required))
        sources.environment["TEST_SERVERS"] = ""
        #expect(try Sample.load(sources).settings.servers == "k:9092", "an empty variable counts as not set")
        sources.environment["TEST_SERVERS"] = "alias:1"
        #expect(try Sample.load(sources).settings.servers == "alias:1")
        sources.environment["MILLRACE_KAFKA__SERVERS"] = "own:1"
        #expect(try Sample.load(sources).settings.servers == "own:1")
        sources.overrides = ["kafka.servers=set:1"]
        #expect(try Sample.load(sources).settings.servers == "set:1")
    }

    @Test func propertiesAreFlattenedAndJoinedOverLayers() throws {
        let folder = try Folder()
        let file = try folder.write(
            "m.toml",
            required + """
                [kafka.properties]
                "linger.ms" = 5
                socket.keepalive.enable = true
                security.protocol = "ssl"
                [kafka.properties.ssl.ca]
                location = "/etc/ca"
                """)
        try folder.write("conf.d/a.toml", "[kafka]\nproperties = { linger = { ms = 6 } }\n")
        let settings = try Sample.load(SettingsSources(file: file)).settings
        #expect(
            settings.properties == [
                "linger.ms": "6", "socket.keepalive.enable": "true", "security.protocol": "ssl",
                "ssl.ca.location": "/etc/ca",
            ])
    }

    @Test func sectionsOfOtherProgramsAreLeftAlone() throws {
        let folder = try Folder()
        let file = try folder.write("m.toml", required + "[relay]\nanything = 1\n")
        let sources = SettingsSources(
            file: file, environment: ["MILLRACE_RELAY__X": "1"], foreignSections: ["relay"])
        #expect(try Sample.load(sources).settings.rows == 1_000)
    }

    @Test func ownSectionsAreCheckedEvenWhenOthersHaveThemToo() {
        let sources = SettingsSources(
            environment: ["MILLRACE_LOG__COLR": "1", "MILLRACE_DATABASE__URL": "postgres://", "TEST_SERVERS": "k"],
            foreignSections: ["log", "relay"])
        #expect(
            problems(of: sources)
                == "environment MILLRACE_LOG__COLR: log.colr: unknown key; did you mean \"colour\"?")
    }
}
