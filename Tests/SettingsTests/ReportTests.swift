import Settings
import Testing

@Suite struct ReportTests {
    @Test func everyValueKnowsItsOrigin() throws {
        let folder = try Folder()
        let file = try folder.write(
            "m.toml",
            """
            [kafka]
            servers = "k:9092"
              [kafka.properties]
              "linger.ms" = 5
            [log]
            colour = "red"
            [work]
            linger_ms = 7
            """)
        try folder.write(
            "conf.d/a.toml", "work = { linger_ms = 8, topics = [\n\"é\", # a comment = 1\n\"b\"], rows = 20 }")
        let sources = SettingsSources(
            file: file,
            environment: [
                "MILLRACE_WORK__TABLE__COLUMN": "x",
                "MILLRACE_LOG__NAME": "a\"b", "MILLRACE_DATABASE__PASSWORD": "x",
                "MILLRACE_DATABASE__URL": "postgres://h",
            ],
            overrides: ["work.drain_s=2000000"])
        let report = try Sample.load(sources).report(origins: true).replacing(folder.path + "/", with: "")
        #expect(
            report == """
                [log]
                colour = "red"  # m.toml:6:1
                name = "a\\"b"   # environment MILLRACE_LOG__NAME
                #note is not set

                [work]
                rows = 20            # conf.d/a.toml:3:7
                linger_ms = 8        # conf.d/a.toml:1:10
                drain_s = 2_000_000  # --set work.drain_s
                verbose = false      # default
                topics = ["é", "b"]  # conf.d/a.toml:1:25

                [work.table]
                column = "x"  # environment MILLRACE_WORK__TABLE__COLUMN

                [kafka]
                servers = "k:9092"  # m.toml:2:1

                [kafka.properties]
                "linger.ms" = "5"  # m.toml:4:3

                [database]
                url = "postgres://h"  # environment MILLRACE_DATABASE__URL
                password = <hidden>   # environment MILLRACE_DATABASE__PASSWORD
                token_files = []      # default

                """)
    }

    @Test func theDefaultFileExplainsEverySetting() throws {
        #expect(
            Sample.defaultFile(of: "sample") == """
                # Settings of sample. A line that is commented out shows the default value of its setting.
                # The environment variable MILLRACE_SECTION__KEY and the option --set section.key=value set the same
                # settings and take precedence. The files of the folder conf.d beside this file are read after it,
                # in the order of their names.

                # What is written.
                [log]

                # The colour of lines. One of: red, green, blue.
                #colour = "green"

                # Who writes.
                #name = "mill"

                # A note. It is not set by default.
                #note = "hello"

                # What is done.
                [work]

                # Rows of a batch. Range: 1 to 10_000.
                #rows = 1000

                # How long a batch waits. Range: 0 to 1000 milliseconds.
                #linger_ms = 5

                # How long a stop may take. Minimum: 0 seconds.
                #drain_s = 30

                # Whether to say more.
                #verbose = false

                # What is read.
                #topics = ["a", "b"]

                # Columns.
                [work.table]

                # The first.
                #column = "id"

                # The brokers.
                [kafka]

                # Where brokers are. Required. The environment variable TEST_SERVERS also sets it.
                servers = "localhost:9092"

                # librdkafka's own.
                [kafka.properties]
                #"linger.ms" = 5

                # The database.
                [database]

                # Where it is. Required.
                url = "postgresql://localhost/mill"

                # Its password. It is not set by default.
                #password = { file = "pg-password" }

                # Who may ask.
                #token_files = []

                # The sessions' own.
                [database.settings]
                #work_mem = "4MB"

                """)
    }

    @Test func theDefaultFileIsValidWithAndWithoutItsComments() throws {
        let folder = try Folder()
        let text = Sample.defaultFile(of: "sample")
        try folder.write("pg-password", "x")
        _ = try Sample.load(SettingsSources(file: try folder.write("m.toml", text)))
        let uncommented = text.split(separator: "\n").map { line in
            line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst() : line
        }
        let file = try folder.write("n.toml", uncommented.joined(separator: "\n"))
        #expect(try Sample.load(SettingsSources(file: file)).settings.note == "hello")
    }

    /// The file contains strings that look like keys, and keys that look like strings.
    @Test func positionsSurviveEverythingThatTOMLAllows() throws {
        let folder = try Folder()
        let text = """
            # [log] nonsense = 1
            "log".'name' = '''
            unknown = 1 ''' # x = 2
            log . note = \"""
            a \\\""" [work] ""\"""
            [ work ]
            topics = [ "[x]", 'y"', # unknown = 3
              "}" ]   # unknown
            rows = 1_00
              extra = { a.b = [ { c = 1 }, 2 ], "d e" = 1979-05-27T07:32:00Z }
            [kafka]
            servers = "k"
            """
        let sources = SettingsSources(
            file: try folder.write("m.toml", text + "\n[database]\nurl = \"postgres://\"\nur = 1"))
        #expect(
            problems(of: sources, in: folder) == """
                m.toml:2:7: log.name: must not hold spaces
                m.toml:10:3: work.extra: unknown key
                m.toml:15:1: database.ur: unknown key; did you mean "url"?
                """)
    }
}
