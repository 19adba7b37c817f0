public import Commands
import Foundation
import Logging
import Postgres

extension CommandDomain {
    /// The operations, as method and path, that are only in the routes or only in the description; empty if both agree.
    public func undescribed() throws -> [String] {
        let bus = try CommandBus(
            CommandBusConfiguration(), postgres: PostgresConfiguration(url: "postgresql:///none"), domains: [self],
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let served = Set(routes(bus, name).map { "\($0.method) \($0.template)" })
        let document = OpenAPIPart.document(title: name, of: [openAPI])
        guard let object = try JSONSerialization.jsonObject(with: Data(document)) as? [String: Any],
            let paths = object["paths"] as? [String: [String: Any]]
        else { return ["the description has no paths"] }
        let described = Set(paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } })
        return served.symmetricDifference(described).sorted()
    }
}
