internal import AccountCommands
internal import CommandPrograms
internal import Commands
internal import Daemon
internal import Events
internal import InventoryCommands
internal import OrderCommands
internal import Orders
internal import ProductCommands
internal import Settings

/// `[commands]` and `[orders]`: the accepted commands, and how they are executed.
struct CommandSettings: FeatureSettings {
    var bus = CommandBusConfiguration()
    let domains: [CommandDomain]

    private static let names = ["orders", "payments", "shipments", "customers", "accounts", "inventory", "products"]

    init(from reader: SettingsReader) {
        let section = reader.section("commands", "Which commands the service accepts, and how it executes them.")
        let names = section.strings(
            "domains", default: Self.names,
            """
            The domains whose commands the service accepts: \(Self.names.joined(separator: ", ")). You may run one \
            service for each domain. A domain requires its migrations.
            """)
        bus.connections = section.integer(
            "connections", default: bus.connections, in: 1...256,
            "Number of database sessions that execute commands, each in one transaction at a time.")
        bus.batchLimit = section.integer(
            "batch_limit", default: bus.batchLimit, in: 1...1_000,
            "Maximum number of commands that share a transaction.")
        bus.maxQueued = section.integer(
            "max_queued", default: bus.maxQueued, in: 1...1_000_000,
            "Maximum number of commands that wait for a session. Further commands are answered with 503.")
        bus.timeoutMs = section.integer(
            "timeout_ms", default: bus.timeoutMs, in: 1...600_000,
            "Maximum time for which a command waits and is tried again. After that, it is answered with 503.")
        bus.maxAttempts = section.integer(
            "max_attempts", default: bus.maxAttempts, in: 1...100,
            "Maximum number of attempts to execute a command, after conflicts and temporary failures.")
        bus.statementTimeoutMs = section.integer(
            "statement_timeout_ms", default: bus.statementTimeoutMs, in: 1...600_000,
            "Maximum duration of a statement.")
        bus.lockTimeoutMs = section.integer(
            "lock_timeout_ms", default: bus.lockTimeoutMs, in: 1...600_000,
            "Maximum time that a statement waits for a lock.")
        bus.answersKeptHours = section.integer(
            "answers_kept_hours", default: bus.answersKeptHours, in: 1...8_760,
            """
            Time for which the answers to commands with an Idempotency-Key are kept. After that, a command with the \
            same key is executed again.
            """)
        bus.pruneIntervalS = section.integer(
            "prune_interval_s", default: bus.pruneIntervalS, in: 1...86_400,
            "Interval at which old answers are deleted.")
        bus.cachedFacts = section.integer(
            "validation_cache_entries", default: bus.cachedFacts, in: 0...10_000_000,
            """
            Maximum number of known customers, and of known products, that the process keeps in memory so that not \
            each command reads them. An entry takes about 200 bytes. Others are read from the database. If another \
            process forgets a customer or retires a product, a notification tells this process within milliseconds. \
            Until then it may accept an order. Set 0 to read and lock them for each command.
            """)
        bus.cachedFactS = section.integer(
            "validation_cache_s", default: bus.cachedFactS, in: 1...3_600,
            """
            Maximum time that a customer or a product is kept in memory. It limits the effect of a lost notification. \
            Lower it if a proxy, such as PgBouncer in transaction mode, suppresses notifications.
            """)
        bus.notifyChannel = section.outboxNotifyChannel()
        let served = [
            OrderCommands.domain(Self.policy(reader)), PaymentCommands.domain(.standard), ShipmentCommands.domain,
            CustomerCommands.domain, AccountCommands.domain(.standard), InventoryCommands.domain,
            ProductCommands.domain(.standard),
        ]
        domains = names.compactMap { name in
            if let domain = served.first(where: { $0.name == name }) { return domain }
            let known = Self.names.joined(separator: ", ")
            section.reject("domains", "there is no domain \"\(name)\"; the domains are: \(known)")
            return nil
        }
        if names.isEmpty { section.reject("domains", "there is nothing to do: name at least one domain") }
        if Set(names).count < names.count { section.reject("domains", "a domain is named twice") }
    }

    private static func policy(_ reader: SettingsReader) -> OrderPolicy {
        let section = reader.section("orders", "Rules of orders that the operator sets.")
        var policy = OrderPolicy()
        let minimum = section.string(
            "minimum_total", default: "10",
            "The minimum total with which an order can be confirmed, in the order's currency.")
        let exceptions = section.strings(
            "minimum_totals", default: [],
            "Minimum totals that differ by currency: [\"JPY 1000\", \"USD 12.50\"].")
        if let amount = amount(minimum) {
            policy.minimumTotal = amount
        } else {
            section.reject("minimum_total", "\"\(minimum)\" is not an amount of 0 or more")
        }
        policy.requiresKnownProducts = section.boolean(
            "require_known_products", default: false,
            """
            Refuses items whose product is not in the table products (item-of-unknown-product) or is retired \
            (item-of-retired-product). Set it if commands of products maintain the catalogue in the same database, in \
            this service or in another one. It requires the migrations of products. Without it, an order may name any \
            product.
            """)
        for text in exceptions {
            let words = text.split(separator: " ").map(String.init)
            guard words.count == 2, let currency = Currency(words[0]), let amount = amount(words[1]) else {
                section.reject("minimum_totals", "\"\(text)\" is not a currency and an amount, as in \"JPY 1000\"")
                continue
            }
            policy.minimumTotals[currency] = amount
        }
        return policy
    }

    private static func amount(_ text: String) -> DecimalAmount? {
        (try? DecimalAmount(text)).flatMap { $0 >= .zero ? $0 : nil }
    }
}
