// swift-tools-version: 6.2

import PackageDescription

/// Every target is built with the same strictness; a warning is an error.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableExperimentalFeature("Lifetimes"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

// MARK: executables: start one program

let executables: [Target] = [
    // librdkafka takes eight blocks of memory a record and frees them on another thread: with mimalloc in the place of
    // the C library's malloc, the relay takes a sixth less processor time.
    .executableTarget(
        name: "outbox-relay", dependencies: ["OutboxRelayProgram", "Daemon"], swiftSettings: strict,
        linkerSettings: [.linkedLibrary("mimalloc")]),
    .executableTarget(
        name: "order-summary-projection", dependencies: ["OrderSummaryProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(
        name: "dashboard-projection", dependencies: ["DashboardProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(
        name: "dead-letter-handler", dependencies: ["DeadLetterHandlerProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(
        name: "sql-projection", dependencies: ["SQLProjectionProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(
        name: "command-service", dependencies: ["CommandServiceProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(name: "order-process", dependencies: ["OrderProcessProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(name: "query-service", dependencies: ["QueryServiceProgram", "Daemon"], swiftSettings: strict),
    .executableTarget(name: "millrace", dependencies: ["OperatorCommands"], swiftSettings: strict),
    .executableTarget(
        name: "millrace-bench",
        dependencies: [
            "Blocking", "OrderShop", "AccountCommands", "Commands", "OrderSummary", "Dashboard", "Projections",
            "ReadModels", "SQLProjections", "Migrations", "EmbeddedKafka", "EmbeddedPostgres",
            "Kafka", "Postgres", "Events", "Orders", "StreamCore", .argumentParser, .logging,
        ],
        path: "bench", swiftSettings: strict),
]

// MARK: commands: what an operator types

let commands: [Target] = [
    .target(
        name: "OperatorCommands",
        dependencies: [
            "Catalog", "ProjectionPrograms", "Daemon", "DeadLetters", "Projections", "ReadModels", "SQLProjections",
            "SQLText", "Outbox", "OrderShop", "Events", "Verification",
            "Tail", "Inspection", "Migrations", "Settings", .logging,
            "EmbeddedKafka", "EmbeddedPostgres", "Kafka", "Postgres", "Blocking", "StreamCore", "WireJSON",
            .argumentParser,
        ],
        swiftSettings: strict)
]

// MARK: programs: the settings and the composition of one daemon each; the catalog names them all

let programs: [Target] = [
    .target(
        name: "Catalog",
        dependencies: [
            "OutboxRelayProgram", "OrderSummaryProgram", "DashboardProgram", "DeadLetterHandlerProgram",
            "SQLProjectionProgram", "CommandServiceProgram", "OrderProcessProgram", "QueryServiceProgram",
            "ProjectionPrograms", "Daemon", "Settings", "Events",
        ],
        swiftSettings: strict),
    .target(
        name: "OutboxRelayProgram",
        dependencies: ["Daemon", "Outbox", "Operations", "Settings", "Kafka", "Postgres", "StreamCore", .logging],
        path: "Sources/Programs/OutboxRelay", swiftSettings: strict),
    .target(
        name: "OrderSummaryProgram", dependencies: ["ProjectionPrograms", "Daemon", "OrderSummary", "ReadModels"],
        path: "Sources/Programs/OrderSummary", swiftSettings: strict),
    .target(
        name: "DashboardProgram",
        dependencies: [
            "ProjectionPrograms", "Daemon", "Dashboard", "Operations", "Projections", "Postgres", "Settings",
        ],
        path: "Sources/Programs/Dashboard", swiftSettings: strict),
    .target(
        name: "SQLProjectionProgram",
        dependencies: [
            "ProjectionPrograms", "Daemon", "SQLProjections", "SQLText", "Projections", "ReadModels", "Settings",
            "Postgres", "StreamCore", .argumentParser,
        ],
        path: "Sources/Programs/SQLProjection", swiftSettings: strict),
    .target(
        name: "DeadLetterHandlerProgram",
        dependencies: [
            "ProjectionPrograms", "Daemon", "DeadLetters", "Projections", "Operations", "Postgres", "Settings",
        ],
        path: "Sources/Programs/DeadLetterHandler", swiftSettings: strict),
    .target(
        name: "QueryServiceProgram",
        dependencies: [
            "HTTPPrograms", "Daemon", "OrderQueries", "SQLQueries", "SQLText", "DashboardPage", "HTTP", "Operations",
            "Settings", "Postgres", .logging, .serviceLifecycle,
        ],
        path: "Sources/Programs/QueryService", swiftSettings: strict),
    .target(
        name: "CommandServiceProgram",
        dependencies: [
            "HTTPPrograms", "Daemon", "Commands", "OrderCommands", "AccountCommands", "InventoryCommands",
            "ProductCommands", "Orders", "Events", "HTTP", "Operations", "Postgres", "Settings", "SQLProjections",
            .serviceLifecycle,
        ],
        path: "Sources/Programs/CommandService", swiftSettings: strict),
    .target(
        name: "OrderProcessProgram",
        dependencies: [
            "ProjectionPrograms", "Daemon", "OrderProcess", "ProcessManagers", "Commands", "Projections", "Events",
            "Orders", "Operations", "Postgres", "Settings", "StreamCore",
        ],
        path: "Sources/Programs/OrderProcess", swiftSettings: strict),
    // What the programs that answer requests share.
    .target(
        name: "HTTPPrograms",
        dependencies: ["Daemon", "HTTP", "Operations", "Settings", .logging, .serviceLifecycle],
        path: "Sources/Programs/HTTP", swiftSettings: strict),
    // What all programs of projections share.
    .target(
        name: "ProjectionPrograms",
        dependencies: [
            "Daemon", "Migrations", "Projections", "ReadModels", "Operations", "Settings", "Kafka", "Postgres",
            "StreamCore", .logging, .metrics,
        ],
        path: "Sources/Programs/Projection", swiftSettings: strict),
]

// MARK: features: what Millrace is for

let features: [Target] = [
    .target(
        name: "Outbox",
        dependencies: [
            "Leadership", "Letters", "Traces", "Kafka", "Postgres", "StreamCore", "WireJSON", .logging, .metrics,
            .tracing,
        ],
        swiftSettings: strict),
    .target(
        name: "Projections",
        dependencies: [
            "Events", "Letters", "Traces", "Kafka", "Postgres", "StreamCore", .logging, .metrics, .tracing,
        ],
        swiftSettings: strict),
    .target(
        name: "DeadLetters",
        dependencies: [
            "Projections", "Leadership", "Letters", "Kafka", "Postgres", "Digests", "StreamCore", .logging, .metrics,
            .asyncHTTPClient, .nioCore, .nioHTTP1,
        ],
        swiftSettings: strict),
    .target(name: "ReadModels", dependencies: ["Kafka", "Postgres", "StreamCore"], swiftSettings: strict),
    .target(
        name: "OrderSummary",
        dependencies: ["Projections", "ReadModels", "Events", "Orders", "Postgres", "StreamCore", "WireJSON"],
        resources: [.embedInCode("SQL")],
        swiftSettings: strict),
    .target(
        name: "Dashboard",
        dependencies: [
            "Projections", "ReadModels", "Events", "Orders", "Postgres", "StreamCore", "WireJSON", .logging,
        ],
        resources: [.embedInCode("SQL")],
        swiftSettings: strict),
    .target(
        name: "SQLProjections",
        dependencies: [
            "Projections", "ReadModels", "SQLText", "SQLQueries", "Settings", "Postgres", "Kafka", "StreamCore",
            "WireJSON", "Digests",
        ],
        swiftSettings: strict),
    .target(
        name: "SQLQueries",
        dependencies: ["SQLText", "RequestValues", "Postgres", "StreamCore", "WireJSON"],
        swiftSettings: strict),
    .target(
        name: "OrderQueries",
        dependencies: [
            "Orders", "SQLQueries", "SQLText", "HTTP", "RequestValues", "Kafka", "Postgres", "StreamCore", "WireJSON",
            .logging, .metrics, .deque,
        ],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    // Commands of any domain: one transaction for state, events and answers.
    .target(
        name: "Commands",
        dependencies: [
            "Events", "Traces", "Postgres", "Digests", "StreamCore", "WireJSON", .logging, .metrics, .tracing, .deque,
        ],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    .target(
        name: "OrderCommands",
        dependencies: [
            "Commands", "ProductCommands", "Customers", "Events", "Orders", "Postgres", "StreamCore", "WireJSON",
        ],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    .target(
        name: "AccountCommands", dependencies: ["Commands", "Accounts", "Events", "StreamCore", "WireJSON"],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    .target(
        name: "InventoryCommands",
        dependencies: ["Commands", "Inventory", "Events", "Postgres", "StreamCore", "WireJSON"],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    .target(
        name: "ProductCommands",
        dependencies: ["Commands", "Products", "Events", "Postgres", "StreamCore", "WireJSON"],
        resources: [.embedInCode("Resources")],
        swiftSettings: strict),
    // Processes of any domain that react to events with commands.
    .target(
        name: "ProcessManagers",
        dependencies: [
            "Commands", "Projections", "Events", "Postgres", "StreamCore", "WireJSON", .logging, .metrics,
        ],
        swiftSettings: strict),
    .target(
        name: "OrderProcess",
        dependencies: [
            "ProcessManagers", "Commands", "OrderCommands", "InventoryCommands", "Orders", "Inventory", "Events",
            "StreamCore", "WireJSON",
        ],
        swiftSettings: strict),
    .target(
        name: "OrderShop",
        dependencies: [
            "AccountCommands", "InventoryCommands", "OrderCommands", "ProductCommands", "Commands", "Accounts",
            "Customers", "Events", "Orders", "Products", "Postgres", "StreamCore", "WireJSON", .logging,
            .asyncHTTPClient, .nioCore, .nioHTTP1,
        ],
        swiftSettings: strict),
    .target(
        name: "Verification",
        dependencies: ["Events", "Orders", "Letters", "Kafka", "Postgres", "StreamCore"],
        swiftSettings: strict),
    .target(name: "Tail", dependencies: ["Kafka", "StreamCore", "WireJSON"], swiftSettings: strict),
    .target(
        name: "Inspection", dependencies: ["Tail", "Migrations", "Kafka", "Postgres", "StreamCore"],
        swiftSettings: strict),
    .target(name: "DashboardPage", resources: [.embedInCode("Resources")], swiftSettings: strict),
]

// MARK: framework: config → clients → service group; knows no feature

let framework: [Target] = [
    .target(
        name: "Daemon",
        dependencies: [
            "Migrations", "HTTP", "Operations", "Settings", "Traces", "Events", "Kafka", "Postgres", "StreamCore",
            "WireJSON", .logging, .coreMetrics, .tracing, .serviceLifecycle, .argumentParser,
        ],
        swiftSettings: strict)
]

// MARK: support

let support: [Target] = [
    .target(
        name: "Operations", dependencies: ["HTTP", "WireJSON", .logging, .coreMetrics, .serviceLifecycle],
        swiftSettings: strict),
    .target(
        name: "HTTP",
        dependencies: [
            "Traces", "Digests", "WireJSON", .logging, .coreMetrics, .tracing, .serviceLifecycle, .hummingbirdCore,
            .hummingbirdTLS, .hummingbirdHTTP2, .httpTypes, .nioCore, .nioPosix, .nioHTTP1, .nioHTTPTypes,
            .nioHTTPTypesHTTP1, .nioSSL,
        ],
        swiftSettings: strict),
    // Distributed tracing: contexts as services pass them on, and the export of spans.
    .target(
        name: "Traces",
        dependencies: ["Blocking", "WireJSON", .logging, .coreMetrics, .tracing, .serviceLifecycle],
        swiftSettings: strict),
    .target(
        name: "Migrations",
        dependencies: ["Postgres", "StreamCore", .logging],
        resources: [.embedInCode("SQL")],
        swiftSettings: strict),
    .target(name: "Settings", dependencies: [.tomlKit], swiftSettings: strict),
    // What answers to requests have in common, whoever serves them.
    .target(name: "RequestValues", swiftSettings: strict),
    // Files of SQL as their authors write them.
    .target(name: "SQLText", dependencies: ["StreamCore"], swiftSettings: strict),
]

// MARK: shared protocols: what several features agree on

let sharedProtocols: [Target] = [
    .target(name: "Leadership", dependencies: ["Postgres", "StreamCore"], swiftSettings: strict),
    .target(name: "Letters", dependencies: ["Kafka", "StreamCore"], swiftSettings: strict),
]

// MARK: domain

let domain: [Target] = [
    // What every domain's events have in common.
    .target(name: "Events", dependencies: ["StreamCore", "WireJSON"], swiftSettings: strict),
    .target(name: "Orders", dependencies: ["Events", "StreamCore", "WireJSON"], swiftSettings: strict),
    .target(name: "Accounts", dependencies: ["Events", "StreamCore", "WireJSON"], swiftSettings: strict),
    .target(name: "Customers", dependencies: ["Events", "StreamCore", "WireJSON"], swiftSettings: strict),
    .target(name: "Inventory", dependencies: ["Events", "StreamCore", "WireJSON"], swiftSettings: strict),
    .target(name: "Products", dependencies: ["Events", "StreamCore", "WireJSON"], swiftSettings: strict),
]

// MARK: clients: each owns its C library; the embedded servers stand beside them

let clients: [Target] = [
    .target(name: "Kafka", dependencies: ["CRDKafka", "Blocking", "StreamCore"], swiftSettings: strict),
    .target(name: "Postgres", dependencies: ["CLibPQ", "Blocking", "StreamCore"], swiftSettings: strict),
    .target(name: "EmbeddedKafka", dependencies: ["CRDKafka", "Blocking"], swiftSettings: strict),
    .target(name: "EmbeddedPostgres", dependencies: ["Blocking", "StreamCore"], swiftSettings: strict),
]

// MARK: base

let base: [Target] = [
    .target(name: "StreamCore", swiftSettings: strict),
    .target(name: "WireJSON", dependencies: ["StreamCore"], swiftSettings: strict),
    .target(name: "Blocking", dependencies: ["CLinux"], swiftSettings: strict),
    .target(name: "Digests", dependencies: ["CLibCrypto"], swiftSettings: strict),
]

let systemLibraries: [Target] = [
    .systemLibrary(name: "CRDKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    // libpq needs it too.
    .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "CLinux"),
]

// MARK: tests

let tests: [Target] = [
    .target(
        name: "TestKit",
        dependencies: [
            "EmbeddedKafka", "EmbeddedPostgres", "Kafka", "Postgres", "Migrations", "Blocking", "CRDKafka", "Traces",
            .tracing,
        ],
        path: "Tests/TestKit", swiftSettings: strict),
    .target(
        name: "OrderSummaryKit",
        dependencies: ["OrderSummary", "Events", "Orders", "Postgres", "StreamCore", "WireJSON"],
        path: "Tests/OrderSummaryKit", swiftSettings: strict),
    .target(
        name: "CommandKit", dependencies: ["Commands", "Events", "Postgres", "StreamCore", "TestKit", .logging],
        path: "Tests/CommandKit", swiftSettings: strict),
    .test("ArchitectureTests", []),
    .test("StreamCoreTests", ["StreamCore"]),
    .test("WireJSONTests", ["WireJSON", "StreamCore"]),
    .test("BlockingTests", ["Blocking", "TestKit"]),
    .test("KafkaTests", ["Kafka", "EmbeddedKafka", "StreamCore", "TestKit"]),
    .test("PostgresTests", ["Blocking", "Postgres", "EmbeddedPostgres", "StreamCore", "TestKit"]),
    .test("EventsTests", ["Events", "StreamCore", "WireJSON", "TestKit"]),
    .test("OrdersTests", ["Events", "Orders", "StreamCore", "WireJSON", "TestKit"]),
    .test("SettingsTests", ["Settings"]),
    .test(
        "HTTPTests",
        [
            "HTTP", "Operations", "Traces", "TestKit", .logging, .coreMetrics, .tracing, .serviceLifecycle,
        ]),
    .test(
        "TracesTests",
        ["Traces", "Operations", "TestKit", .logging, .coreMetrics, .tracing, .serviceLifecycle]),
    .test("OperationsTests", ["HTTP", "Operations", "TestKit", .logging, .coreMetrics, .serviceLifecycle]),
    .test("LeadershipTests", ["Leadership", "Postgres", "EmbeddedPostgres", "StreamCore", "TestKit"]),
    .test("LettersTests", ["Letters", "Kafka", "StreamCore"]),
    .test("MigrationsTests", ["Migrations", "Postgres", "TestKit"]),
    .test(
        "OutboxTests",
        [
            "Outbox", "Leadership", "Traces", "EmbeddedKafka", "EmbeddedPostgres", "Kafka", "Postgres", "Migrations",
            "StreamCore", "TestKit", .logging, .tracing, "outbox-relay",
        ]),
    .test(
        "ProjectionsTests",
        [
            "Projections", "Letters", "Traces", "Kafka", "Postgres", "Migrations", "EmbeddedKafka", "EmbeddedPostgres",
            "StreamCore", "TestKit", .logging, .tracing,
        ]),
    .test("DigestsTests", ["Digests"]),
    .test(
        "DeadLettersTests",
        [
            "DeadLetters", "Projections", "Letters", "Kafka", "Postgres", "Migrations", "EmbeddedKafka",
            "EmbeddedPostgres", "Digests", "StreamCore", "TestKit", .logging,
        ]),
    .test(
        "OrderSummaryTests",
        [
            "OrderSummary", "OrderSummaryKit", "Projections", "Events", "Orders", "Kafka", "Postgres", "StreamCore",
            "TestKit",
        ]),
    .test(
        "DashboardTests",
        [
            "Dashboard", "OrderShop", "Verification", "OrderSummary", "Projections", "Events", "Orders", "Kafka",
            "Postgres",
            "StreamCore", "TestKit", .logging,
        ]),
    .test(
        "SQLProjectionsTests",
        [
            "SQLProjections", "SQLText", "ReadModels", "Projections", "CommandServiceProgram", "AccountCommands",
            "Accounts", "Commands", "CommandKit", "Events", "Outbox", "Kafka", "Postgres", "Migrations", "StreamCore",
            "WireJSON", "TestKit", .logging,
        ]),
    .test(
        "SQLQueriesTests",
        ["SQLQueries", "SQLText", "RequestValues", "Postgres", "StreamCore", "WireJSON", "TestKit"]),
    .test(
        "ReadModelsTests",
        [
            "ReadModels", "OrderSummary", "Dashboard", "Projections", "Kafka", "Postgres", "StreamCore", "TestKit",
        ]),
    .test("DashboardPageTests", ["DashboardPage"]),
    .test(
        "OrderQueriesTests",
        [
            "OrderQueries", "RequestValues", "SQLText", "OrderShop", "OrderSummary", "Dashboard", "Migrations",
            "Projections", "Events", "Orders", "HTTP", "Kafka", "Postgres", "EmbeddedPostgres", "StreamCore",
            "WireJSON", "TestKit", .logging,
        ]),
    .test(
        "CommandsTests",
        [
            "Commands", "Events", "Operations", "Traces", "Postgres", "StreamCore", "WireJSON", "TestKit", .logging,
            .coreMetrics, .tracing,
        ]),
    .test(
        "OrderCommandsTests",
        [
            "OrderCommands", "ProductCommands", "Commands", "CommandKit", "Customers", "Events", "Orders", "Postgres",
            "StreamCore", "WireJSON", "TestKit", .logging,
        ]),
    .test(
        "AccountCommandsTests",
        [
            "AccountCommands", "Accounts", "Commands", "CommandKit", "OrderShop", "Events", "Postgres", "StreamCore",
            "WireJSON", "TestKit", .logging,
        ]),
    .test(
        "InventoryCommandsTests",
        [
            "InventoryCommands", "Inventory", "Commands", "CommandKit", "Events", "Postgres", "StreamCore", "TestKit",
        ]),
    .test(
        "ProductCommandsTests",
        ["ProductCommands", "Products", "Commands", "CommandKit", "Events", "Postgres", "StreamCore", "TestKit"]),
    .test(
        "OrderProcessTests",
        [
            "OrderProcess", "ProcessManagers", "OrderCommands", "InventoryCommands", "Commands", "CommandKit",
            "Projections", "Events", "Orders", "Inventory", "Kafka", "Postgres", "StreamCore", "WireJSON", "TestKit",
            .logging,
        ]),
    .test(
        "OrderShopTests",
        [
            "OrderShop", "AccountCommands", "InventoryCommands", "OrderCommands", "ProductCommands", "Commands",
            "CommandKit", "OrderSummary", "OrderSummaryKit", "Products", "Events", "Orders", "Postgres",
            "EmbeddedPostgres", "Migrations", "StreamCore", "WireJSON", "TestKit", .logging,
        ]),
    .test(
        "VerificationTests",
        [
            "Verification", "OrderCommands", "Commands", "CommandKit", "OrderShop", "OrderSummary", "Dashboard",
            "Projections", "Events", "Orders", "Kafka", "Postgres", "StreamCore", "WireJSON", "TestKit",
        ]),
    .test("TailTests", ["Tail", "Kafka", "StreamCore", "TestKit", "millrace"]),
    .test(
        "InspectionTests",
        ["Inspection", "Tail", "Migrations", "Projections", "Kafka", "Postgres", "StreamCore", "TestKit"]),
    .test(
        "OperatorCommandsTests",
        [
            "Blocking", "Inspection", "Tail", "OperatorCommands", "Catalog", "DeadLetters", "Projections", "Outbox",
            "OrderShop", "Events", "Orders", "Verification", "Migrations", "Postgres", "StreamCore", "TestKit",
            .argumentParser,
        ]),
    .test(
        "DaemonTests",
        [
            "Catalog", "OutboxRelayProgram", "OrderSummaryProgram", "ProjectionPrograms", "Daemon", "Settings",
            "Operations", "Outbox", "Projections", "Migrations", "Postgres", "Kafka", "EmbeddedKafka",
            "EmbeddedPostgres", "StreamCore", "TestKit", .logging, "outbox-relay", "order-summary-projection",
            "dashboard-projection", "dead-letter-handler", "sql-projection", "command-service", "order-process",
            "query-service", "millrace",
        ]),
    .test(
        "SystemTests",
        [
            "OrderShop", "Events", "Orders", "Verification", "Kafka", "Postgres", "Migrations", "EmbeddedKafka",
            "EmbeddedPostgres", "StreamCore", "TestKit", "outbox-relay", "order-summary-projection",
            "dashboard-projection", "sql-projection", "dead-letter-handler", "command-service", "order-process",
            "query-service", "millrace",
        ]),
]

extension Target {
    static func test(_ name: String, _ dependencies: [Dependency]) -> Target {
        .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
    }
}

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let coreMetrics = product(name: "CoreMetrics", package: "swift-metrics")
    static let deque = product(name: "DequeModule", package: "swift-collections")
    static let tracing = product(name: "Tracing", package: "swift-distributed-tracing")
    static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let hummingbirdTLS = product(name: "HummingbirdTLS", package: "hummingbird")
    static let hummingbirdHTTP2 = product(name: "HummingbirdHTTP2", package: "hummingbird")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP1 = product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let tomlKit = product(name: "TOMLKit", package: "TOMLKit")
}

/// The arrays above are the levels of the architecture, from the top: a target imports only what its `dependencies`
/// name, and none of a level above its own. `ArchitectureTests` reads this file and keeps the sources to it.
let package = Package(
    name: "millrace",
    products: [
        .executable(name: "outbox-relay", targets: ["outbox-relay"]),
        .executable(name: "order-summary-projection", targets: ["order-summary-projection"]),
        .executable(name: "dead-letter-handler", targets: ["dead-letter-handler"]),
        .executable(name: "dashboard-projection", targets: ["dashboard-projection"]),
        .executable(name: "sql-projection", targets: ["sql-projection"]),
        .executable(name: "command-service", targets: ["command-service"]),
        .executable(name: "order-process", targets: ["order-process"]),
        .executable(name: "query-service", targets: ["query-service"]),
        .executable(name: "millrace", targets: ["millrace"]),
        // What a package with a domain of its own is built with; docs/your-own-projection.md.
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
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: executables + commands + programs + features + framework + support + sharedProtocols + domain + clients
        + base + systemLibraries + tests
)
