import Foundation
import Kafka
import Postgres
import Settings
import Testing
import Traces

@testable import Daemon
@testable import OrderSummaryProgram
@testable import Outbox
@testable import OutboxRelayProgram
@testable import ProjectionPrograms

/// Tests which values the clients and features get from the settings.
@Suite struct DaemonSettingsTests {
    private let required = ["kafka.bootstrap_servers=k:9092", "postgres.url=postgresql://me@db:5433/shop"]

    private func relay(
        _ overrides: [String], environment: [String: String] = [:]
    ) throws(InvalidSettings) -> DaemonSettings<OutboxRelayProgram> {
        try DaemonSettings.load(
            SettingsSources(
                environment: environment, overrides: required + overrides,
                foreignSections: SharedSections.names)
        ).settings
    }

    private func problems(_ overrides: [String]) -> String {
        do {
            _ = try relay(overrides)
            return "no problem"
        } catch {
            return error.description
        }
    }

    @Test func theDefaultsAreTheFeaturesOwn() throws {
        let settings = try relay([])
        var defaults = OutboxRelayConfiguration()
        // The daemons that write to the outbox notify this channel by default.
        defaults.notifyChannel = NotifyChannels.outbox
        #expect(settings.feature.relay.configuration == defaults)
        #expect(settings.kafka.configuration.clientID == "outbox-relay")
        #expect(settings.kafka.configuration.properties.isEmpty)
        #expect(settings.postgres.configuration.applicationName == "outbox-relay")
        #expect(settings.postgres.configuration.host == "db")
        #expect(settings.postgres.configuration.port == 5_433)
        #expect(settings.operations.host == "127.0.0.1", "the default serves only this machine")
        #expect(settings.tracing.destination == nil, "tracing is off by default")
        #expect(settings.tracing.sampleRatio == 1)
    }

    @Test func everyPartIsMapped() throws {
        let settings = try relay(
            [
                "kafka.client_id=mine", "kafka.properties.linger.ms=7", "postgres.schema=shop",
                "postgres.statement_timeout_ms=1234", "postgres.settings.synchronous_commit=off",
                "relay.retention=keep", "relay.shards=3", "relay.idle_poll_ms=50", "relay.notify_channel=news",
                "operations.stop_timeout_s=3", "log.level=debug", "log.format=json",
                "tracing.directory=/var/log/spans", "tracing.sample_ratio=0.25", "tracing.max_file_bytes=2000000",
                "tracing.max_queued_spans=600", "tracing.batch_spans=20", "tracing.give_up_after_ms=5000",
            ], environment: ["MILLRACE_POSTGRES__PASSWORD": "secret", "MILLRACE_PROJECTION__SERVICE": "another's"])
        #expect(settings.tracing.destination == .directory("/var/log/spans", maxFileBytes: 2_000_000))
        #expect(settings.tracing.sampleRatio == 0.25)
        #expect(settings.tracing.limits.queuedSpans == 600 && settings.tracing.limits.batchSpans == 20)
        #expect(settings.tracing.limits.giveUpAfter == .seconds(5))
        #expect(problems(["tracing.directory=spans"]).contains("tracing.directory: must be an absolute path"))
        #expect(settings.kafka.configuration.clientID == "mine")
        #expect(settings.kafka.configuration.properties == ["linger.ms": "7"])
        #expect(settings.postgres.configuration.schema == "shop")
        #expect(settings.postgres.configuration.password == "secret")
        #expect(settings.postgres.configuration.statementTimeoutMs == 1_234)
        #expect(settings.postgres.configuration.settings == ["synchronous_commit": "off"])
        #expect(settings.feature.relay.configuration.shards == 3)
        #expect(settings.feature.relay.configuration.idlePollMs == 50)
        #expect(settings.feature.relay.configuration.notifyChannel == "news")
        #expect(settings.operations.stopTimeout == .seconds(3))
        #expect(settings.log.format == .json)
        #expect(OutboxRelayProgram.migrationSets(for: settings.feature) == ["outbox", "outbox-keep"])
    }

    @Test func aCollectorHasAnEndpointAndHeaders() throws {
        let settings = try relay(
            ["tracing.endpoint=https://collector:4318/v1/traces", "tracing.timeout_ms=500"],
            environment: ["MILLRACE_TRACING__HEADERS__AUTHORIZATION": "Bearer x"])
        let destination = try #require(settings.tracing.destination)
        #expect(
            destination
                == .collector(
                    endpoint: "https://collector:4318/v1/traces", headers: ["authorization": "Bearer x"],
                    timeoutMs: 500, certificatesFile: nil))
        #expect(!"\(destination)".contains("Bearer"), "a log shows no secret")
        for (url, problem) in [
            ("collector:4318", "must begin with http:// or https://"), ("http:///v1/traces", "must name a host"),
            ("http://me:pw@c/v1/traces", "must not contain a user or a password: use headers"),
            ("http://c:4318", "must have a path, as in http://c:4318/v1/traces"),
            ("http://c:4318/", "must have a path, as in http://c:4318/v1/traces"),
        ] {
            #expect(problems(["tracing.endpoint=\(url)"]).hasSuffix("tracing.endpoint: \(problem)"), "\(url)")
        }
        for file in ["/dev/null", "/not/there"] {
            #expect(
                problems(["tracing.ca_file=\(file)"])
                    .hasSuffix("tracing.ca_file: \(file) contains no certificates in PEM, or cannot be read"))
        }
        #expect(problems(["tracing.headers.x-key=abc"]).contains("other users can read secrets on a command line"))
        #expect(problems(["tracing.headers.Host.env=PATH"]).hasSuffix("tracing.headers.Host: is set by the daemon"))
        #expect(
            problems(["tracing.endpoint=http://c/v1/traces", "tracing.directory=/tmp"])
                .hasSuffix("tracing.endpoint: cannot be combined with directory: set one of them"))
    }

    @Test func commonVariablesReplaceTheFile() throws {
        let settings = try DaemonSettings<OrderSummaryProgram>.load(
            SettingsSources(environment: ["KAFKA_BOOTSTRAP_SERVERS": "b:1", "DATABASE_URL": "postgres://u@h/d"])
        ).settings
        #expect(settings.kafka.configuration.bootstrapServers == "b:1")
        #expect(settings.postgres.configuration.host == "h")
    }

    @Test func debeziumsLayout() throws {
        let settings = try relay(["relay.layout=debezium", "relay.debezium.aggregate_id=key"])
        guard case .debezium(let layout) = settings.feature.relay.configuration.layout else {
            Issue.record("the layout is \(settings.feature.relay.configuration.layout)")
            return
        }
        #expect(layout.aggregateID == "key")
        #expect(OutboxRelayProgram.migrationSets(for: settings.feature) == ["outbox-debezium"])
    }

    @Test func whatTheFeatureRefusesIsSaidOfTheSetting() {
        #expect(
            problems([
                "relay.idle_poll_ms=1", "relay.busy_poll_ms=5", "relay.layout=debezium", "relay.retention=keep",
                "relay.debezium.envelope=true",
            ]) == """
                --set relay.debezium.envelope: requires the columns `sequence` and `timestamp`
                --set relay.idle_poll_ms: must not be less than busy_poll_ms
                --set relay.retention: rows of the Debezium layout have no published_at, so only delete works
                """)
    }

    @Test func librdkafkaChecksItsProperties() {
        #expect(
            problems(["kafka.properties.group.id=x", "kafka.properties.lingr.ms=5", "kafka.properties.linger.ms=soon"])
                == """
                --set kafka.properties.group.id: cannot be set, \
                because the consumer group's name consists of the service, the projection and its version
                --set kafka.properties.linger.ms: \
                Invalid value for configuration property "queue.buffering.max.ms"
                --set kafka.properties.lingr.ms: librdkafka has no such property
                """)
    }

    @Test func variablesNameSettingsOfSessionsAsTheServerDoes() throws {
        let settings = try relay(
            [],
            environment: [
                "MILLRACE_POSTGRES__SETTINGS__LOCK_TIMEOUT": "5s",
                "MILLRACE_KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS": "9000",
                "MILLRACE_RELAY__DEBEZIUM__HEADER_COLUMNS__TENANT_ID": "tenant-id",
            ])
        #expect(settings.postgres.configuration.settings == ["lock_timeout": "5s"])
        #expect(settings.kafka.configuration.properties == ["socket.timeout.ms": "9000"])
    }

    @Test func aURLThatLibpqCannotReadIsNotQuoted() {
        let sources = SettingsSources(
            environment: ["DATABASE_URL": "postgresql://me:hunter2@[::1/db"],
            overrides: ["kafka.bootstrap_servers=k:9092"], foreignSections: SharedSections.names)
        let error = #expect(throws: InvalidSettings.self) {
            try DaemonSettings<OutboxRelayProgram>.load(sources)
        }
        let text = error?.description ?? ""
        #expect(text.contains("is not a connection URL"))
        #expect(!text.contains("hunter2"))
    }

    @Test(arguments: [
        ("maxInFlightRows", "max_in_flight_rows"), ("aggregateID", "aggregate_id"), ("id", "id"),
        ("correlationID", "correlation_id"), ("batchMaxBytes", "batch_max_bytes"),
    ])
    func namesBecomeSettings(_ name: String, _ setting: String) {
        #expect(snakeCase(name) == setting)
    }
}
