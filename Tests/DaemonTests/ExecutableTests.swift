import EmbeddedKafka
import EmbeddedPostgres
import Foundation
import Glibc
import Kafka
import Migrations
import Postgres
import TestKit
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Tests what supervisors and operators see of the daemons: exit codes, standard error, signals.
@Suite struct ExecutableTests {
    /// Addresses at which nothing listens.
    let away = [
        "--set", "kafka.bootstrap_servers=127.0.0.1:9", "--set", "postgres.url=postgresql://127.0.0.1:9/none",
        "--set", "operations.port=0",
    ]

    /// The beginning of a passing health check's response.
    let passes = #"{"status":"pass","#

    @Test(arguments: ["outbox-relay", "order-summary-projection"])
    func aMissingFile(_ name: String) async throws {
        let daemon = try Executable(name, ["--config", "/no/such.toml"])
        #expect(try await daemon.exitCode() == 78)
        #expect(daemon.errors == "/no/such.toml: no such file\n")
    }

    @Test func allThatIsWrongAtOnce() async throws {
        let file = NSTemporaryDirectory() + "millrace-\(UUID().uuidString).toml"
        try """
        [kafka]
        bootstrap_server = "k:1"
        [log]
        level = "inof"
        [relay]
        page_rows = 0
        [projection]
        ignored_by_this_daemon = true
        [postgres]
        url = "mysql://x"
        """.write(toFile: file, atomically: false, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let daemon = try Executable("outbox-relay", ["--config", file, "--set", "relay.pag_rows=1"])
        #expect(try await daemon.exitCode() == 78)
        #expect(
            daemon.errors.replacing(file, with: "f") == """
                f: kafka.bootstrap_servers: required, but not set here nor as \
                MILLRACE_KAFKA__BOOTSTRAP_SERVERS or KAFKA_BOOTSTRAP_SERVERS
                f:2:1: kafka.bootstrap_server: unknown key; did you mean "bootstrap_servers"?
                f:4:1: log.level: "inof" is not one of: trace, debug, info, notice, warning, error, critical; \
                did you mean "info"?
                f:6:1: relay.page_rows: 0 is outside the range 1 to 100_000
                f:10:1: postgres.url: must begin with postgresql:// or postgres://
                --set relay.pag_rows: unknown key; did you mean "page_rows"?

                """)
    }

    @Test func checking() async throws {
        let offline = try Executable("outbox-relay", ["--check"] + away)
        #expect(try await offline.exitCode() == 0)
        #expect(offline.output == "the configuration is valid\n")
        let wrong = try Executable("outbox-relay", ["--check"] + away + ["--set", "relay.shards=0"])
        #expect(try await wrong.exitCode() == 78)
        let usage = try Executable("outbox-relay", ["--chekc"])
        #expect(try await usage.exitCode() == 64)
    }

    /// The dynamic linker reports which `malloc` each library uses.
    @Test func theRelaysMemoryIsMimallocs() async throws {
        let relay = try Executable("outbox-relay", ["--check"] + away, environment: ["LD_DEBUG": "bindings"])
        #expect(try await relay.exitCode() == 0)
        let bindings = relay.errors.split(separator: "\n").filter { $0.contains("symbol `malloc'") }
        #expect(bindings.contains { $0.contains("librdkafka") })
        #expect(bindings.allSatisfy { $0.contains("libmimalloc") }, "\(bindings)")
    }

    @Test func foldersOnTheCommandLine() async throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "projections").path
        func check(_ arguments: [String]) throws -> Executable {
            try Executable("sql-projection", ["--check"] + away + arguments)
        }
        let two = try check([
            "--projection", root + "/accounts", "--projection", root + "/product-stats", "--set",
            "sql_projections.folders=/no/such",
        ])
        #expect(try await two.exitCode() == 0, "\(two.errors)")
        let twice = try check(["--projection", root + "/accounts", "--projection", root + "/accounts"])
        #expect(try await twice.exitCode() == 78)
        #expect(twice.errors.contains("two folders describe the same projection and version, accounts_v"))
        let missing = try check(["--projection", "/no/such"])
        #expect(try await missing.exitCode() == 78)
        #expect(missing.errors.contains("/no/such: cannot be read"))
        let comma = try check(["--projection", "a,b"])
        #expect(try await comma.exitCode() == 64)
    }

    @Test func checkingTheServers() async throws {
        let unreachable = try Executable("outbox-relay", ["--check=online"] + away)
        #expect(try await unreachable.exitCode() == 69)
        #expect(unreachable.errors.contains("postgres: "))
        #expect(unreachable.errors.contains("kafka: "))
        try await withDatabase(migrating: ["outbox"]) { database, _ in
            let kafka = try TestKafka.clientConfiguration().bootstrapServers
            let reachable = try Executable(
                "outbox-relay", ["--check=online", "--set", "kafka.bootstrap_servers=\(kafka)"] + database)
            #expect(try await reachable.exitCode() == 0, "\(reachable.errors)")
        }
    }

    @Test(arguments: ["outbox-relay", "order-summary-projection"])
    func aSchemaThatIsMissing(_ name: String) async throws {
        try await withDatabase(migrating: []) { database, _ in
            let daemon = try Executable(name, away + database)
            #expect(try await daemon.exitCode() == 78)
            #expect(daemon.errors.contains("millrace migrate up"), "\(daemon.errors)")
        }
    }

    /// With available servers and the right schema, a daemon is ready, has metrics, and notifies its supervisor.
    @Test(arguments: [
        ("outbox-relay", ["outbox"], "millrace_outbox_leader{shard=\"0\"} 1"),
        ("order-summary-projection", ["projections", "order-summary"], "millrace_projection_stopped_partitions{"),
    ])
    func aWorkingDaemon(_ name: String, _ sets: [String], _ metric: String) async throws {
        // A projection is ready when it has its assignment, and only existing topics are assigned.
        let suffix = "-" + TestKafka.uniqueName("daemon")
        let settings = ["topic_suffix=\(suffix)", "service=test\(suffix)"].map { "projection.\($0)" }
        try await TestKafka.withTopics(named: ["order\(suffix)"], partitions: 1) {
            try await withDatabase(migrating: sets) { database, _ in
                let kafka = try TestKafka.clientConfiguration().bootstrapServers
                let own = ["kafka.bootstrap_servers=\(kafka)"] + (name == "outbox-relay" ? [] : settings)
                let daemon = try Executable(name, away + database + own.flatMap { ["--set", $0] })
                let port = try await daemon.port()
                try await eventually { try await get("/health/ready", port).hasPrefix(passes) }
                #expect(try await get("/health/live", port).hasPrefix(passes))
                #expect(try await get("/health/startup", port).hasPrefix(passes))
                try await eventually { try await get("/metrics", port).contains(metric) }
                daemon.signal(SIGTERM)
                #expect(try await daemon.exitCode() == 0, "\(daemon.errors)")
            }
        }
    }

    /// SwiftNIO's strict mode ends the process if a task is submitted to an event loop that has ended.
    @Test(arguments: 1...3)
    func theQueryServiceStopsWellUnderLoad(_ round: Int) async throws {
        try await withDatabase(migrating: ["projections", "order-summary", "dashboard"]) { database, _ in
            let kafka = try TestKafka.clientConfiguration().bootstrapServers
            let service = try Executable(
                "query-service",
                away + database + [
                    "--set", "kafka.bootstrap_servers=\(kafka)", "--set", "http.port=0", "--set", "http.threads=4",
                ],
                environment: ["SWIFTNIO_STRICT": "1"])
            try await service.waitForLog("serving queries address=")
            let line = service.errors.split(separator: "\n").first { $0.contains("serving queries address=") }
            let port = try #require(line?.split(separator: ":").last.flatMap { Int($0) })
            try await withThrowingTaskGroup(of: Int.self) { group in
                for client in 0..<8 {
                    group.addTask { await answers(of: "http://127.0.0.1:\(port)/v1/orders/\(client)") }
                }
                let operations = try await service.port()
                try await eventually {
                    let count = try await get("/metrics", operations)
                        .firstMatch(
                            of: #/requests_total\{route="/v1/orders/\{id\}",server="queries",status="4xx"\} ([0-9]+)/#)
                    return count.flatMap { Int($0.1) } ?? 0 >= 100
                }
                service.signal(SIGTERM)
                let code = try await service.exitCode()
                #expect(code == 0, "\(code): \(service.errors)")
                #expect(!service.errors.contains("EventLoop"), "\(service.errors)")
                var total = 0
                for try await count in group { total += count }
                #expect(total >= 100)
            }
        }
    }

    /// Sends requests on new connections until nothing answers, and counts the answers.
    private func answers(of address: String) async -> Int {
        var count = 0
        while true {
            let session = URLSession(configuration: .ephemeral)
            defer { session.invalidateAndCancel() }
            guard let url = URL(string: address) else { return count }
            for _ in 0..<20 {
                guard (try? await session.data(from: url)) != nil else { return count }
                count += 1
            }
        }
    }

    func get(_ path: String, _ port: Int) async throws -> String {
        let url = try #require(URL(string: "http://127.0.0.1:\(port)\(path)"))
        return String(decoding: try await URLSession.shared.data(from: url).0, as: UTF8.self)
    }

    /// At the start, a user who cannot log in is a configuration error. Later, a daemon waits until the user can log in
    /// again.
    @Test(arguments: [
        ("outbox-relay", ["outbox"], "millrace_outbox_leader{shard=\"0\"} 1"),
        ("order-summary-projection", ["projections", "order-summary"], "millrace_projection_lag_records{"),
        ("query-service", ["projections", "order-summary", "dashboard"], "millrace_ready 1\n"),
    ])
    func aUserWhoIsLockedOutForAWhile(_ name: String, _ sets: [String], _ isWorking: String) async throws {
        try await TestDatabase.withPrivateServer { _, postgres in
            try await Migrator(postgres).up(sets)
            try await TestKafka.withPrivateCluster { _, kafka in
                let administrator = try await PostgresConnection.connect(postgres)
                try await administrator.execute(script: "CREATE ROLE worker SUPERUSER LOGIN")
                let host = postgres.host?.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
                let daemon = try Executable(
                    name,
                    away + [
                        "--set", "kafka.bootstrap_servers=\(kafka.bootstrapServers)",
                        "--set", "postgres.url=postgresql://worker@/postgres?host=\(host)",
                        "--set", "kafka.properties.session.timeout.ms=6000",
                    ] + (name == "query-service" ? ["--set", "http.port=0"] : []))
                let port = try await daemon.port()
                try await eventually { try await get("/metrics", port).contains(isWorking) }
                try await eventually { try await get("/health/ready", port).hasPrefix(passes) }
                try await administrator.execute(script: "ALTER ROLE worker NOLOGIN")
                try await administrator.execute(
                    .unprepared("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'worker'"))
                try await produceUnknownEvent(kafka)
                try await eventually { try await get("/health/ready", port).contains("28000") }
                #expect(try await get("/health/live", port).hasPrefix(passes))
                try await administrator.execute(script: "ALTER ROLE worker LOGIN")
                try await eventually { try await get("/health/ready", port).hasPrefix(passes) }
                try await daemon.stop()
                await administrator.close()
            }
        }
    }

    /// Gives a projection a record to process, so that its offset moves.
    private func produceUnknownEvent(_ kafka: KafkaClientConfiguration) async throws {
        let producer = try Producer(kafka) { _ in }
        let event = """
            {"eventId":"11111111-1111-4111-8111-111111111111","eventType":"Unheard","aggregateId":"o-1",\
            "aggregateType":"Order","sequence":1,"timestamp":"2026-03-01T12:00:00Z","version":1,"payload":{}}
            """
        try await producer.send(topic: "order-events", key: Array("o-1".utf8), value: Array(event.utf8))
        await producer.close(timeoutMs: 1_000)
    }

    @Test func aDatabaseThatIsAwayIsWaitedFor() async throws {
        let start = ContinuousClock.now
        let daemon = try Executable("outbox-relay", away)
        try await daemon.waitForLog("waiting for the database")
        daemon.signal(SIGTERM)
        #expect(try await daemon.exitCode() == 0)
        #expect(daemon.errors.contains("stopping signal=SIGTERM"))
        // The daemon logs this once a minute, however often it tries.
        let lines = daemon.errors.split(separator: "\n").count { $0.contains("waiting for the database") }
        #expect(lines <= 1 + Int((ContinuousClock.now - start) / .seconds(60)))
    }

    /// Tests the messages to systemd about the daemon's state, on a socket of the type that systemd uses.
    @Test(arguments: [false, true])
    func theSupervisorIsTold(abstract: Bool) async throws {
        let socket = try NotifySocket(abstract: abstract)
        let daemon = try Executable(
            "outbox-relay", away + ["--set", "operations.stop_timeout_s=7"],
            environment: ["NOTIFY_SOCKET": socket.path, "WATCHDOG_USEC": "200000"])
        var messages: Set<String> = []
        while !messages.isSuperset(of: ["READY=1", "WATCHDOG=1", "STATUS=not ready: database: not reached yet"]) {
            messages.insert(try await socket.next())
        }
        daemon.signal(SIGTERM)
        while !messages.contains("STOPPING=1\nEXTEND_TIMEOUT_USEC=12000000") {
            messages.insert(try await socket.next())
        }
        #expect(try await daemon.exitCode() == 0, "\(daemon.errors)")
    }

    @Test func anAddressInUse() async throws {
        let first = try Executable("outbox-relay", away)
        let port = try await first.port()
        let second = try Executable("outbox-relay", away + ["--set", "operations.port=\(port)"])
        #expect(try await second.exitCode() == 75)
        #expect(second.errors.contains("cannot listen on 127.0.0.1:\(port): "))
    }

    /// The relay sends a row to brokers that are not available, so a stop waits for the acknowledgement.
    private func withBusyRelay(_ arguments: [String], _ body: (Executable) async throws -> Void) async throws {
        try await withDatabase(migrating: ["outbox"]) { database, connection in
            try await connection.execute(
                script: """
                    INSERT INTO outbox (event_type, aggregate_type, aggregate_id, sequence, payload)
                    VALUES ('OrderCreated', 'Order', 'o-1', 1, '{}')
                    """)
            let slow = ["--set", "relay.drain_timeout_ms=600000"]
            let relay = try Executable("outbox-relay", away + database + slow + arguments)
            let port = try await relay.port()
            try await eventually {
                try await get("/metrics", port).contains("millrace_outbox_in_flight_rows{shard=\"0\"} 1\n")
            }
            try await body(relay)
        }
    }

    @Test func aSecondSignalEndsAtOnce() async throws {
        try await withBusyRelay([]) { relay in
            relay.signal(SIGTERM)
            try await relay.waitForLog("stopping signal=SIGTERM")
            relay.signal(SIGINT)
            let code = try await relay.exitCode()
            #expect(code == 130, "\(relay.errors)")
        }
    }

    @Test func aStopHasADeadline() async throws {
        try await withBusyRelay(["--set", "operations.stop_timeout_s=1"]) { relay in
            relay.signal(SIGTERM)
            let code = try await relay.exitCode()
            #expect(code == 75)
            #expect(relay.errors.contains("the shutdown takes too long"))
        }
    }

    /// Passes `--set` arguments for a schema that only this test uses.
    func withDatabase(
        migrating sets: [String], _ body: ([String], PostgresConnection) async throws -> Void
    ) async throws {
        try await TestDatabase.withSchema(migrating: sets) { configuration in
            // Parameters in a URL's query override the parts before them.
            let password = NSTemporaryDirectory() + "millrace-\(UUID().uuidString)"
            defer { try? FileManager.default.removeItem(atPath: password) }
            var secret: [String] = []
            if let text = configuration.parameters["password"] {
                try Data(text.utf8).write(to: URL(filePath: password))
                secret = ["--set", "postgres.password.file=\(password)"]
            }
            let query = configuration.parameters.filter { $0.key != "password" }
                .map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")" }
            let connection = try await PostgresConnection.connect(configuration)
            try await body(
                [
                    "--set", "postgres.url=postgresql://?\(query.joined(separator: "&"))",
                    "--set", "postgres.schema=\(configuration.schema)",
                ] + secret, connection)
            await connection.close()
        }
    }
}
