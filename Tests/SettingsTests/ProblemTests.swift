import Settings
import Testing

/// Tests the exact texts that operators read for each kind of configuration error.
@Suite struct ProblemTests {
    @Test func allProblemsComeAtOnceInOrder() throws {
        let folder = try Folder()
        let file = try folder.write(
            "m.toml",
            """
            colour = "red"

            [log]
            color = "red"
            name = "two words"
              "nóte" = "x"
            [work]
            rows = 0
            linger_ms = "5"
            verbose = 1
            topics = ["a", 1]
            servers = "k"
            [wrok]
            rows = { "é" = 1 }
            [kafka]
            properties = { group.id = "g", "sasl.username" = [1] }
            [database]
            url = "mysql://user:pass@host/db"
            password = "hunter2"
            """)
        try folder.write("conf.d/x.toml", "[log]\ncolour = \"gren\"\nname = 1979-05-27\n")
        let sources = SettingsSources(
            file: file, environment: ["MILLRACE_WORK__DRAIN_S": "soon", "MILLRACE_LOG_NAME": "x"],
            overrides: [
                "log.nam=x", "log.note", "work.verbose=no", "work.verbose=yes", "work.table.column.x=1",
                "work.table.column=5",
            ])
        #expect(
            problems(of: sources, in: folder) == """
                m.toml: kafka.servers: required, but not set here nor as MILLRACE_KAFKA__SERVERS or TEST_SERVERS
                m.toml:1:1: colour: unknown key
                m.toml:4:1: log.color: unknown key; did you mean "colour"?
                m.toml:6:3: log.nóte: unknown key
                m.toml:8:1: work.rows: 0 is outside the range 1 to 10_000
                m.toml:9:1: work.linger_ms: expected an integer, found a string
                m.toml:11:1: work.topics: expected an array of strings, found an integer in it
                m.toml:12:1: work.servers: unknown key; did you mean "kafka.servers"?
                m.toml:13:2: wrok: unknown section; did you mean "work"?
                m.toml:16:22: kafka.properties.group.id: is set by the program
                m.toml:16:32: kafka.properties.sasl.username: expected a string, a number or a boolean, found an array
                m.toml:18:1: database.url: must begin with postgresql:// or postgres://
                m.toml:19:1: database.password: a secret must not be written here; give { file = "…" } or { env = "…" }
                conf.d/x.toml:2:1: log.colour: "gren" is not one of: red, green, blue; did you mean "green"?
                conf.d/x.toml:3:1: log.name: expected a string, found a date or time
                environment MILLRACE_LOG_NAME: no such setting; did you mean "MILLRACE_LOG__NAME"?
                environment MILLRACE_WORK__DRAIN_S: work.drain_s: expected an integer, found "soon"
                --set log.nam: unknown key; did you mean "name"?
                --set log.note: expected section.key=value
                --set work.table.column.x: set as a value and as a table
                --set work.verbose: expected true or false, found "yes"
                """)
    }

    @Test func syntax() throws {
        let folder = try Folder()
        let file = try folder.write("m.toml", "[log]\nname = \"open\nnote = 1\n")
        let text = problems(of: SettingsSources(file: file), in: folder)
        #expect(text.hasPrefix("m.toml:2:13: Error while parsing string"))
        #expect(text.utf8.count { $0 == UInt8(ascii: "\n") } == 0, "no setting is reported as missing")
    }

    @Test func rulesAcrossSettings() throws {
        let folder = try Folder()
        let file = try folder.write("m.toml", required + "[work]\nverbose = true\nrows = 5\n")
        #expect(
            problems(of: SettingsSources(file: file), in: folder)
                == "m.toml:7:1: work.rows: too few to be verbose about")
    }

    @Test(arguments: ["\0", "[log]\nname = \"a\0b\"", "[log]\nname = \u{1}"])
    func charactersThatNoFileMayHold(_ text: String) throws {
        let folder = try Folder()
        let text = problems(of: SettingsSources(file: try folder.write("m.toml", text)), in: folder)
        #expect(text.hasPrefix("m.toml:") && !text.hasPrefix("m.toml: "), "\(text)")
    }

    @Test func aSectionIsATable() throws {
        let folder = try Folder()
        let file = try folder.write("m.toml", "log = 5\n[[work]]\nrows = 1\n" + required)
        #expect(
            problems(of: SettingsSources(file: file), in: folder) == """
                m.toml:1:1: log: expected a section, [log], found an integer
                m.toml:2:3: work: expected a section, [work], found an array
                """)
    }

    @Test func variablesThatContradictEachOther() {
        let sources = SettingsSources(environment: [
            "MILLRACE_DATABASE__URL": "postgres://a", "MILLRACE_KAFKA__SERVERS": "a",
            "MILLRACE_WORK__ROWS": "1", "MILLRACE_WORK__TABLE__COLUM": "1", "MILLRACE_WORK_TABLE_COLUMN": "",
            "MILLRACE_WORK__ROWS__MORE": "2", "MILLRACE_WROK__ROWS": "1",
        ])
        #expect(
            problems(of: sources) == """
                environment MILLRACE_WORK_TABLE_COLUMN: no such setting; did you mean "MILLRACE_WORK__TABLE__COLUMN"?
                environment MILLRACE_WORK__ROWS__MORE: work.rows.more: \
                another variable gives this setting as a value, or as a table
                environment MILLRACE_WORK__TABLE__COLUM: work.table.colum: unknown key; did you mean "column"?
                environment MILLRACE_WROK__ROWS: wrok: unknown section; did you mean "work"?
                """)
    }

    @Test func filesThatCannotBeRead() throws {
        let folder = try Folder()
        #expect(
            problems(of: SettingsSources(file: folder.path + "/none.toml"), in: folder)
                == "none.toml: no such file")
        #expect(problems(of: SettingsSources(file: folder.path), in: folder).hasSuffix(": is a folder, not a file"))
    }
}
