import Catalog
import Daemon
import Foundation
import Migrations
import TestKit
import Testing

/// Tests the catalog of daemons, and what must agree with it.
@Suite struct CatalogTests {
    @Test func everySectionOfADaemonIsKnownToTheOthers() {
        let common: Set = ["log", "operations", "tracing", "kafka", "postgres"]
        let declared = Catalog.daemons.reduce(into: Set<String>()) { $0.formUnion($1.sections) }
        // A nested section belongs to its outer section.
        #expect(declared.subtracting(common).filter { !$0.contains(".") } == SharedSections.names)
    }

    @Test func everySetOfMigrationsIsThere() {
        let embedded = MigrationCatalog.embedded.sets
        #expect(Catalog.migrationSets.allSatisfy(embedded.contains))
        #expect(Set(Catalog.projections).isSubset(of: Catalog.migrationSets))
    }

    /// A daemon contains only the modules that it needs, and none of the other daemons'. The symbol names contain the
    /// names of the modules.
    @Test(arguments: [
        ("outbox-relay", "Outbox", ["OrderQueries", "DashboardPage", "Projections", "DeadLetters"]),
        ("order-summary-projection", "OrderSummary", ["OrderQueries", "DashboardPage", "Outbox", "Dashboard"]),
        ("query-service", "OrderQueries", ["Outbox", "DeadLetters", "OrderSummary"]),
        ("command-service", "OrderCommands", ["Outbox", "OrderQueries", "OrderSummary"]),
        ("order-process", "OrderProcess", ["Outbox", "OrderQueries", "OrderSummary", "AccountCommands"]),
    ])
    func anExecutableLinksOnlyItsOwn(_ name: String, own: String, others: [String]) throws {
        let program = try Data(contentsOf: Executable.url(of: name), options: .mappedIfSafe)
        func holds(_ module: String) -> Bool { program.range(of: Data("$s\(module.utf8.count)\(module)".utf8)) != nil }
        #expect(holds(own))
        for module in others { #expect(!holds(module), "\(module) is linked into \(name)") }
    }
}
