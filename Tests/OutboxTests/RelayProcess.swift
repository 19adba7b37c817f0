import Kafka
import Postgres
import TestKit

/// Starts the daemon as a separate process with the schema and the topics of a test. An aggregate type is the name of
/// its topic.
func startRelayProcess(
    _ postgres: PostgresConfiguration, _ kafka: KafkaClientConfiguration, _ settings: [String: String] = [:]
) throws -> Executable {
    var all = [
        "relay.topic_suffix": "", "operations.port": "0", "postgres.schema": postgres.schema,
        "kafka.bootstrap_servers": kafka.bootstrapServers,
    ]
    all.merge(settings) { _, given in given }
    // Every libpq parameter goes into the query of the URL, because the folder of a socket cannot stand before the
    // question mark.
    let query = postgres.parameters.map { "\($0.key)=\($0.value.replacing("/", with: "%2F"))" }
    var environment = ["DATABASE_URL": "postgresql://?\(query.sorted().joined(separator: "&"))"]
    for (property, value) in kafka.properties {
        environment["MILLRACE_KAFKA__PROPERTIES__" + property.uppercased().replacing(".", with: "_")] = value
    }
    return try Executable(
        "outbox-relay", all.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] },
        environment: environment)
}
