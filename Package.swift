// swift-tools-version: 6.2

import PackageDescription

/// The compiler settings of all targets. A warning is an error.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

// MARK: kinds of targets

/// A library.
///
/// - Parameters:
///   - path: the folder of its sources; by default the one in Sources with its name.
///   - resources: a folder of it whose files are compiled into the library, as text.
func module(
    _ name: String, path: String? = nil, embedding resources: String? = nil,
    dependsOn dependencies: Target.Dependency...
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, swiftSettings: strict,
        plugins: resources == nil ? [] : [.plugin(name: "EmbedFiles")])
}

/// The library of a daemon's program: the sources of `FooProgram` are in Sources/Programs/Foo.
func program(_ name: String, dependsOn dependencies: Target.Dependency...) -> Target {
    let path = "Sources/Programs/" + name.dropLast("Program".count)
    return .target(name: name, dependencies: dependencies, path: path, swiftSettings: strict)
}

/// An executable that starts the program of a daemon.
func daemon(_ name: String, starting program: Target.Dependency, linking libraries: String...) -> Target {
    .executableTarget(
        name: name, dependencies: [program, "Daemon"], swiftSettings: strict,
        linkerSettings: libraries.map { .linkedLibrary($0) })
}

/// An executable that is not a daemon.
///
/// - Parameter programs: the executables that it starts as processes. A build of this one builds them too.
func executable(
    _ name: String, path: String? = nil, running programs: Target.Dependency...,
    dependsOn dependencies: Target.Dependency...
) -> Target {
    .executableTarget(name: name, dependencies: programs + dependencies, path: path, swiftSettings: strict)
}

func suite(_ name: String, dependsOn dependencies: Target.Dependency...) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

// The arrays from here on are the levels of the architecture, from the top. A target imports only the modules after
// `dependsOn`, and none of a level above its own. `ArchitectureTests` reads this file and checks the sources.

// MARK: executables: start one program

let executables: [Target] = [
    // librdkafka allocates eight blocks of memory for each record and frees them on another thread. With mimalloc
    // instead of the C library's malloc, the relay takes a sixth less processor time.
    daemon("outbox-relay", starting: "OutboxRelayProgram", linking: "mimalloc"),
    daemon("order-summary-projection", starting: "OrderSummaryProgram"),
    daemon("dashboard-projection", starting: "DashboardProgram"),
    daemon("dead-letter-handler", starting: "DeadLetterHandlerProgram"),
    daemon("sql-projection", starting: "SQLProjectionProgram"),
    daemon("command-service", starting: "CommandServiceProgram"),
    daemon("order-process", starting: "OrderProcessProgram"),
    daemon("query-service", starting: "QueryServiceProgram"),
    executable(
        "millrace", running: "outbox-relay", "order-summary-projection", "dashboard-projection", "dead-letter-handler",
        "sql-projection", "command-service", "order-process", "query-service", dependsOn: "OperatorCommands"),
    executable(
        "millrace-bench", path: "bench", running: "millrace", dependsOn: "Blocking", "OrderShop", "AccountCommands",
        "Commands", "OrderSummary", "Dashboard", "Projections", "ReadModels", "SQLProjections", "Migrations",
        "EmbeddedKafka", "EmbeddedPostgres", "Kafka", "Postgres", "Events", "Orders", "StreamCore", .argumentParser,
        .logging),
]

// MARK: commands: the commands of operators

let commands: [Target] = [
    // The root command, and the commands that know the daemons.
    module(
        "OperatorCommands", dependsOn: "RepairCommands", "ProjectionCommands", "CommandSupport", "Catalog",
        "ProjectionPrograms", "Daemon", "Projections", "ReadModels", "SQLProjections", "SQLText", "Outbox", "OrderShop",
        "Verification", "Tail", "Inspection", "Migrations", "Settings", .logging, "EmbeddedKafka", "EmbeddedPostgres",
        "Kafka", "Postgres", "Blocking", "StreamCore", .argumentParser),
    // What follows does not depend on daemons, and is compiled beside their programs.
    module(
        "RepairCommands", dependsOn: "CommandSupport", "DeadLetters", "ProcessManagers", "Outbox", "Events", "Postgres",
        "StreamCore", "WireJSON", .argumentParser),
    module(
        "ProjectionCommands", dependsOn: "CommandSupport", "Projections", "ReadModels", "SQLProjections", "SQLText",
        "Migrations", "EmbeddedPostgres", "Postgres", "StreamCore", .argumentParser),
    module(
        "CommandSupport", dependsOn: "Tail", "Settings", "Kafka", "Postgres", "StreamCore", .argumentParser),
]

// MARK: programs: the settings and the composition of one daemon each; the catalog names them all

let programs: [Target] = [
    module(
        "Catalog", dependsOn: "OutboxRelayProgram", "OrderSummaryProgram", "DashboardProgram",
        "DeadLetterHandlerProgram", "SQLProjectionProgram", "CommandServiceProgram", "OrderProcessProgram",
        "QueryServiceProgram", "ProjectionPrograms", "Daemon", "Settings", "Events"),
    program(
        "OutboxRelayProgram", dependsOn: "Daemon", "Outbox", "Operations", "Settings", "Kafka", "Postgres",
        "StreamCore", .logging),
    program("OrderSummaryProgram", dependsOn: "ProjectionPrograms", "Daemon", "OrderSummary", "ReadModels"),
    program(
        "DashboardProgram", dependsOn: "ProjectionPrograms", "Daemon", "Dashboard", "Operations", "Projections",
        "Postgres", "Settings"),
    program(
        "SQLProjectionProgram", dependsOn: "ProjectionPrograms", "Daemon", "SQLProjections", "SQLText", "Projections",
        "ReadModels", "Settings", "Postgres", "StreamCore", .argumentParser),
    program(
        "DeadLetterHandlerProgram", dependsOn: "ProjectionPrograms", "Daemon", "DeadLetters", "Projections",
        "Operations", "Postgres", "Settings"),
    program(
        "QueryServiceProgram", dependsOn: "HTTPPrograms", "Daemon", "OrderQueries", "SQLQueries", "SQLText",
        "DashboardPage", "HTTP", "Operations", "Settings", "Postgres", .logging, .serviceLifecycle),
    program(
        "CommandServiceProgram", dependsOn: "HTTPPrograms", "CommandPrograms", "Daemon", "Commands", "OrderCommands",
        "AccountCommands", "InventoryCommands", "ProductCommands", "Orders", "Events", "HTTP", "Operations",
        "Postgres", "Settings", .serviceLifecycle),
    program(
        "OrderProcessProgram", dependsOn: "ProjectionPrograms", "CommandPrograms", "Daemon", "OrderProcess",
        "ProcessManagers", "Commands", "Projections", "Events", "Orders", "Operations", "Postgres", "Settings",
        "StreamCore"),
    // The common part of the programs that answer requests.
    module(
        "HTTPPrograms", path: "Sources/Programs/HTTP", dependsOn: "Daemon", "HTTP", "Operations", "Settings",
        "StreamCore", .logging, .serviceLifecycle),
    // The common part of the programs that carry out commands.
    module(
        "CommandPrograms", path: "Sources/Programs/Commands", dependsOn: "Daemon", "Commands", "SQLProjections",
        "Postgres", "Settings"),
    // The common part of all programs with projections.
    module(
        "ProjectionPrograms", path: "Sources/Programs/Projection", dependsOn: "Daemon", "Migrations", "Projections",
        "ReadModels", "Operations", "Settings", "Kafka", "Postgres", "StreamCore", .logging, .metrics),
]

// MARK: features

let features: [Target] = [
    module(
        "Outbox", dependsOn: "Leadership", "Letters", "Traces", "Kafka", "Postgres", "StreamCore", "WireJSON", .logging,
        .metrics, .tracing),
    module(
        "Projections", dependsOn: "Events", "Letters", "Traces", "Kafka", "Postgres", "StreamCore", .logging, .metrics,
        .tracing),
    module(
        "DeadLetters", dependsOn: "Projections", "Leadership", "Letters", "Kafka", "Postgres", "HTTPClient", "Digests",
        "StreamCore", .logging, .metrics),
    module("ReadModels", dependsOn: "Kafka", "Postgres", "StreamCore"),
    module(
        "OrderSummary", embedding: "SQL", dependsOn: "Projections", "ReadModels", "Events", "Orders", "Postgres",
        "StreamCore", "WireJSON"),
    module(
        "Dashboard", embedding: "SQL", dependsOn: "Projections", "ReadModels", "Events", "Orders", "Postgres",
        "StreamCore", "WireJSON", .logging),
    module(
        "SQLProjections", dependsOn: "Projections", "ReadModels", "SQLText", "SQLQueries", "Settings", "Postgres",
        "Kafka", "StreamCore", "WireJSON", "Digests"),
    module("SQLQueries", dependsOn: "SQLText", "RequestValues", "Postgres", "StreamCore", "WireJSON"),
    module(
        "OrderQueries", embedding: "Resources", dependsOn: "Orders", "SQLQueries", "SQLText", "HTTP", "RequestValues",
        "Kafka", "Postgres", "StreamCore", "WireJSON", .logging, .metrics, .deque),
    // Commands of any domain: one transaction for state, events and answers.
    module(
        "Commands", embedding: "Resources", dependsOn: "Events", "Traces", "Postgres", "Digests", "StreamCore",
        "WireJSON", .logging, .metrics, .tracing, .deque),
    module(
        "OrderCommands", embedding: "Resources", dependsOn: "Commands", "ProductCommands", "Customers", "Events",
        "Orders", "Postgres", "StreamCore", "WireJSON"),
    module(
        "AccountCommands", embedding: "Resources", dependsOn: "Commands", "Accounts", "Events", "StreamCore",
        "WireJSON"),
    module(
        "InventoryCommands", embedding: "Resources", dependsOn: "Commands", "Inventory", "Events", "Postgres",
        "StreamCore", "WireJSON"),
    module(
        "ProductCommands", embedding: "Resources", dependsOn: "Commands", "Products", "Events", "Postgres",
        "StreamCore", "WireJSON"),
    // Processes of any domain that react to events with commands.
    module(
        "ProcessManagers", dependsOn: "Commands", "Projections", "Events", "Postgres", "StreamCore", "WireJSON",
        .logging, .metrics),
    module(
        "OrderProcess", dependsOn: "ProcessManagers", "Commands", "OrderCommands", "InventoryCommands", "Orders",
        "Inventory", "Events", "StreamCore", "WireJSON"),
    module(
        "OrderShop", dependsOn: "AccountCommands", "InventoryCommands", "OrderCommands", "ProductCommands", "Commands",
        "Accounts", "Customers", "Events", "Orders", "Products", "Postgres", "HTTPClient", "StreamCore", "WireJSON",
        .logging),
    module("Verification", dependsOn: "Outbox", "Events", "Orders", "Letters", "Kafka", "Postgres", "StreamCore"),
    module("Tail", dependsOn: "Kafka", "StreamCore", "WireJSON"),
    module("Inspection", dependsOn: "Outbox", "Tail", "Migrations", "Kafka", "Postgres", "StreamCore"),
    module("DashboardPage", embedding: "Resources"),
]

// MARK: framework: settings → clients → service group; independent of features

let framework: [Target] = [
    module(
        "Daemon", dependsOn: "Migrations", "HTTP", "Operations", "Settings", "Traces", "OTLPClient", "Events", "Kafka",
        "Postgres", "StreamCore", "WireJSON", .logging, .coreMetrics, .tracing, .serviceLifecycle, .argumentParser)
]

// MARK: support

let support: [Target] = [
    module("Operations", dependsOn: "HTTP", "WireJSON", .logging, .coreMetrics, .serviceLifecycle),
    module(
        "HTTP", dependsOn: "Traces", "Digests", "StreamCore", "WireJSON", .logging, .coreMetrics, .tracing,
        .serviceLifecycle, .hummingbirdCore, .hummingbirdTLS, .deque, .httpTypes, .nioCore, .nioPosix, .nioTLS,
        .nioHTTP1, .nioHTTP2, .nioHTTPTypes, .nioHTTPTypesHTTP1, .nioHTTPTypesHTTP2, .nioSSL),
    // Distributed tracing: the contexts that services propagate, and the export of spans.
    module(
        "Traces", dependsOn: "Blocking", "StreamCore", "WireJSON", .logging, .coreMetrics, .tracing, .serviceLifecycle),
    // Spans on their way to a collector. A target of its own, so that features do not link an HTTP client.
    module("OTLPClient", dependsOn: "HTTPClient", "Traces", "StreamCore", "WireJSON"),
    module("Migrations", embedding: "SQL", dependsOn: "Postgres", "StreamCore", .logging),
    module("Settings", dependsOn: .tomlKit),
    // Common values of requests and answers, independent of the server.
    module("RequestValues"),
    // Reads SQL files.
    module("SQLText", dependsOn: "StreamCore"),
]

// MARK: shared protocols: protocols between features

let sharedProtocols: [Target] = [
    module("Leadership", dependsOn: "Postgres", "StreamCore"),
    module("Letters", dependsOn: "Kafka", "StreamCore"),
]

// MARK: domain

let domain: [Target] = [
    // The common part of all domains' events.
    module("Events", dependsOn: "StreamCore", "WireJSON"),
    module("Orders", dependsOn: "Events", "StreamCore", "WireJSON"),
    module("Accounts", dependsOn: "Events", "StreamCore", "WireJSON"),
    module("Customers", dependsOn: "Events", "StreamCore", "WireJSON"),
    module("Inventory", dependsOn: "Events", "StreamCore", "WireJSON"),
    module("Products", dependsOn: "Events", "StreamCore", "WireJSON"),
]

// MARK: clients: each owns its C library. The embedded servers are separate.

let clients: [Target] = [
    module("Kafka", dependsOn: "CRDKafka", "Blocking", "StreamCore"),
    module("Postgres", dependsOn: "CLibPQ", "Blocking", "StreamCore"),
    module("HTTPClient", dependsOn: "CCurl", "CLibCrypto", "Blocking"),
    module("EmbeddedKafka", dependsOn: "CRDKafka", "Blocking"),
    module("EmbeddedPostgres", dependsOn: "Blocking", "StreamCore"),
]

// MARK: base

let base: [Target] = [
    module("StreamCore"),
    module("WireJSON", dependsOn: "StreamCore"),
    module("Blocking", dependsOn: "CLinux"),
    module("Digests", dependsOn: "CLibCrypto"),
]

let systemLibraries: [Target] = [
    .systemLibrary(name: "CRDKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    // libpq and libcurl link it as well.
    .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "CLinux"),
]

// MARK: tests

let tests: [Target] = [
    module(
        "TestKit", path: "Tests/TestKit", dependsOn: "EmbeddedKafka", "EmbeddedPostgres", "Kafka", "Postgres",
        "Migrations", "Blocking", "CRDKafka", "Traces", .tracing),
    module(
        "OrderSummaryKit", path: "Tests/OrderSummaryKit", dependsOn: "OrderSummary", "Events", "Orders", "Postgres",
        "StreamCore", "WireJSON"),
    module(
        "CommandKit", path: "Tests/CommandKit", dependsOn: "Commands", "Events", "Postgres", "StreamCore", "TestKit",
        .logging),
    // A server that gives the answers of a test.
    module("EndpointKit", path: "Tests/EndpointKit"),
    // A collector of spans.
    module("CollectorKit", path: "Tests/CollectorKit", dependsOn: "HTTP", .logging, .serviceLifecycle),
    suite("ArchitectureTests"),
    suite("StreamCoreTests", dependsOn: "StreamCore"),
    suite("WireJSONTests", dependsOn: "WireJSON", "StreamCore"),
    suite("BlockingTests", dependsOn: "Blocking", "TestKit"),
    suite("KafkaTests", dependsOn: "Kafka", "EmbeddedKafka", "StreamCore", "TestKit"),
    suite("PostgresTests", dependsOn: "Blocking", "Postgres", "EmbeddedPostgres", "StreamCore", "TestKit"),
    suite("EventsTests", dependsOn: "Events", "StreamCore", "WireJSON", "TestKit"),
    suite("OrdersTests", dependsOn: "Events", "Orders", "StreamCore", "WireJSON", "TestKit"),
    suite("SettingsTests", dependsOn: "Settings"),
    suite(
        "HTTPTests", dependsOn: "HTTP", "Operations", "Traces", "StreamCore", "TestKit", .logging, .coreMetrics,
        .tracing, .serviceLifecycle, .httpTypes, .nioCore, .nioEmbedded, .nioHTTPTypes, .nioSSL),
    suite(
        "TracesTests", dependsOn: "Traces", "Operations", "StreamCore", "TestKit", .logging, .coreMetrics, .tracing,
        .serviceLifecycle),
    suite(
        "OTLPClientTests", dependsOn: "OTLPClient", "HTTP", "Traces", "Operations", "Blocking", "StreamCore",
        "CollectorKit",
        "TestKit", .logging, .coreMetrics, .tracing, .serviceLifecycle),
    suite("OperationsTests", dependsOn: "HTTP", "Operations", "TestKit", .logging, .coreMetrics, .serviceLifecycle),
    suite("LeadershipTests", dependsOn: "Leadership", "Postgres", "EmbeddedPostgres", "StreamCore", "TestKit"),
    suite("LettersTests", dependsOn: "Letters", "Kafka", "StreamCore"),
    suite("MigrationsTests", dependsOn: "Migrations", "Postgres", "TestKit"),
    suite(
        "OutboxTests", dependsOn: "Outbox", "Leadership", "Traces", "EmbeddedKafka", "EmbeddedPostgres", "Kafka",
        "Postgres", "Migrations", "StreamCore", "TestKit", .logging, .tracing, "outbox-relay"),
    suite(
        "ProjectionsTests", dependsOn: "Projections", "Letters", "Traces", "Kafka", "Postgres", "Migrations",
        "EmbeddedKafka", "EmbeddedPostgres", "StreamCore", "TestKit", .logging, .tracing),
    suite("DigestsTests", dependsOn: "Digests"),
    suite("HTTPClientTests", dependsOn: "HTTPClient", "HTTP", "CollectorKit", "EndpointKit", "TestKit"),
    suite(
        "DeadLettersTests", dependsOn: "DeadLetters", "Projections", "Letters", "Kafka", "Postgres", "Migrations",
        "EmbeddedKafka", "EmbeddedPostgres", "Digests", "StreamCore", "EndpointKit", "TestKit", .logging),
    suite(
        "OrderSummaryTests", dependsOn: "OrderSummary", "OrderSummaryKit", "Projections", "Events", "Orders", "Kafka",
        "Postgres", "StreamCore", "TestKit"),
    suite(
        "DashboardTests", dependsOn: "Dashboard", "OrderShop", "Verification", "OrderSummary", "Projections", "Events",
        "Orders", "Kafka", "Postgres", "StreamCore", "TestKit", .logging),
    suite(
        "SQLProjectionsTests", dependsOn: "SQLProjections", "SQLText", "ReadModels", "Projections",
        "CommandPrograms", "AccountCommands", "Accounts", "Commands", "CommandKit", "Events", "Outbox", "Kafka",
        "Postgres", "Migrations", "StreamCore", "WireJSON", "TestKit", .logging),
    suite(
        "SQLQueriesTests", dependsOn: "SQLQueries", "SQLText", "RequestValues", "Postgres", "StreamCore", "WireJSON",
        "TestKit"),
    suite(
        "ReadModelsTests", dependsOn: "ReadModels", "OrderSummary", "Dashboard", "Projections", "Kafka", "Postgres",
        "StreamCore", "TestKit"),
    suite("DashboardPageTests", dependsOn: "DashboardPage"),
    suite(
        "OrderQueriesTests", dependsOn: "OrderQueries", "RequestValues", "SQLText", "OrderShop", "OrderSummary",
        "Dashboard", "Migrations", "Projections", "Events", "Orders", "HTTP", "Kafka", "Postgres", "EmbeddedPostgres",
        "StreamCore", "WireJSON", "TestKit", .logging),
    suite(
        "CommandsTests", dependsOn: "Commands", "Events", "Operations", "Traces", "Postgres", "StreamCore", "WireJSON",
        "TestKit", .logging, .coreMetrics, .tracing),
    suite(
        "OrderCommandsTests", dependsOn: "OrderCommands", "ProductCommands", "Commands", "CommandKit", "Customers",
        "Events", "Orders", "Postgres", "StreamCore", "WireJSON", "TestKit", .logging),
    suite(
        "AccountCommandsTests", dependsOn: "AccountCommands", "Accounts", "Commands", "CommandKit", "OrderShop",
        "Events", "Postgres", "StreamCore", "WireJSON", "TestKit", .logging),
    suite(
        "InventoryCommandsTests", dependsOn: "InventoryCommands", "Inventory", "Commands", "CommandKit", "Events",
        "Postgres", "StreamCore", "TestKit"),
    suite(
        "ProductCommandsTests", dependsOn: "ProductCommands", "Products", "Commands", "CommandKit", "Events",
        "Postgres", "StreamCore", "TestKit"),
    suite(
        "OrderProcessTests", dependsOn: "OrderProcess", "ProcessManagers", "OrderCommands", "InventoryCommands",
        "Commands", "CommandKit", "Projections", "Events", "Orders", "Inventory", "Kafka", "Postgres", "StreamCore",
        "WireJSON", "TestKit", .logging),
    suite(
        "OrderShopTests", dependsOn: "OrderShop", "HTTPClient", "AccountCommands", "InventoryCommands", "OrderCommands",
        "ProductCommands", "Commands", "CommandKit", "OrderSummary", "OrderSummaryKit", "Products", "Events", "Orders",
        "Postgres", "EmbeddedPostgres", "Migrations", "StreamCore", "WireJSON", "TestKit", .logging),
    suite(
        "VerificationTests", dependsOn: "Verification", "OrderCommands", "Commands", "CommandKit", "OrderShop",
        "OrderSummary", "Dashboard", "Projections", "Events", "Orders", "Kafka", "Postgres", "StreamCore", "WireJSON",
        "TestKit"),
    suite("TailTests", dependsOn: "Tail", "Kafka", "StreamCore", "TestKit", "millrace"),
    suite(
        "InspectionTests", dependsOn: "Inspection", "Tail", "Migrations", "Projections", "Kafka", "Postgres",
        "StreamCore", "TestKit"),
    suite(
        "OperatorCommandsTests", dependsOn: "OperatorCommands", "RepairCommands", "ProjectionCommands",
        "CommandSupport", "Catalog", "Inspection", "Tail", "DeadLetters", "ProcessManagers", "Projections", "Outbox",
        "OrderShop", "Events", "Orders", "Verification", "Migrations", "Postgres", "Blocking", "StreamCore", "TestKit",
        .argumentParser),
    suite(
        "DaemonTests", dependsOn: "Catalog", "OutboxRelayProgram", "OrderSummaryProgram", "ProjectionPrograms",
        "Daemon", "Settings", "Operations", "Outbox", "Projections", "Migrations", "Postgres", "Kafka", "EmbeddedKafka",
        "Traces", "EmbeddedPostgres", "StreamCore", "TestKit", .logging, "outbox-relay", "order-summary-projection",
        "dashboard-projection", "dead-letter-handler", "sql-projection", "command-service", "order-process",
        "query-service", "millrace"),
    suite(
        "SystemTests", dependsOn: "CollectorKit", "Blocking", "OrderShop", "Events", "Orders", "Verification", "Kafka",
        "Postgres", "Migrations",
        "EmbeddedKafka", "EmbeddedPostgres", "StreamCore", "TestKit", "outbox-relay", "order-summary-projection",
        "dashboard-projection", "sql-projection", "dead-letter-handler", "command-service", "order-process",
        "query-service", "millrace"),
]

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let coreMetrics = product(name: "CoreMetrics", package: "swift-metrics")
    static let deque = product(name: "DequeModule", package: "swift-collections")
    static let tracing = product(name: "Tracing", package: "swift-distributed-tracing")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let hummingbirdTLS = product(name: "HummingbirdTLS", package: "hummingbird")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTP2 = product(name: "NIOHTTP2", package: "swift-nio-http2")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP1 = product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP2 = product(name: "NIOHTTPTypesHTTP2", package: "swift-nio-extras")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let tomlKit = product(name: "TOMLKit", package: "TOMLKit")
}

let package = Package(
    name: "millrace",
    products: executables.filter { $0.path == nil }.map { .executable(name: $0.name, targets: [$0.name]) } + [
        // The libraries for packages with their own domain; docs/your-own-projection.md.
        .library(name: "MillraceEvents", targets: ["Events", "WireJSON", "StreamCore"]),
        .library(name: "MillraceKafka", targets: ["Kafka", "StreamCore"]),
        .library(name: "MillracePostgres", targets: ["Postgres", "StreamCore"]),
        .library(
            name: "MillraceProjections",
            targets: ["Projections", "ProjectionPrograms", "DeadLetters", "Daemon", "Migrations", "Settings"]),
        .library(name: "MillraceCommands", targets: ["Commands", "ProcessManagers"]),
        .library(name: "MillraceTestKit", targets: ["TestKit", "EmbeddedKafka", "EmbeddedPostgres"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [.plugin(name: "EmbedFiles", capability: .buildTool())] + executables + commands + programs + features
        + framework + support + sharedProtocols + domain + clients + base + systemLibraries + tests
)
