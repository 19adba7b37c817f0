internal import Digests
public import Projections
public import SQLText
internal import Settings

/// A projection's folder: `projection.toml`, `schema.sql`, and a file with statements for each event type, or
/// `apply.sql` for all types.
public struct ProjectionFolder: Sendable {
    /// The source of the files, for messages.
    public let path: String
    public let name: String
    public let version: Int
    public let topics: [String]
    public let mode: ProjectionMode
    public let order: DeadLetterRoute.Order
    public let strictSequence: Bool
    /// The script that creates the version's tables. It runs once.
    public let schema: SQLFile
    /// The handlers in the order in which they run in batch mode.
    let handlers: [EventHandler]
    let policies: TopicPolicies
    /// Columns, as `table.column`, whose values may depend on how the events are applied.
    let uncheckedColumns: [String]
    /// The digests of everything that determines the rows.
    let definition: FolderDefinition
    /// The unchanged files.
    public let files: FolderFiles

    /// The statements of one file.
    struct EventHandler: Sendable {
        /// nil for `apply.sql`, whose statements see all events.
        let type: String?
        let statements: [SQLStatement]
    }

    /// Reads a folder.
    ///
    /// - Throws: ``InvalidFolder`` with all problems. No database is used.
    public init(path: String) throws(InvalidFolder) {
        try self.init(try FolderFiles(path: path))
    }

    /// Parses the files of a folder.
    ///
    /// - Throws: ``InvalidFolder`` with all problems.
    public init(_ files: FolderFiles) throws(InvalidFolder) {
        let path = files.origin
        self.path = path
        self.files = files
        let settings: ProjectionFileSettings
        do {
            settings = try ProjectionFileSettings.load(SettingsSources(files.settings)).settings
        } catch {
            throw InvalidFolder(error.problems.map { FolderProblem($0.description) })
        }
        name = settings.name
        version = settings.version
        topics = settings.topics
        mode = settings.mode
        order = settings.order
        strictSequence = settings.strictSequence
        policies = settings.policies
        uncheckedColumns = settings.uncheckedColumns

        var problems: [FolderProblem] = []
        var schema: SQLFile?
        var handlers: [EventHandler] = []
        var definition: FolderDefinition?
        do throws(FolderProblem) {
            let statements = Self.statements(in: files, order: settings.typeOrder)
            for file in statements {
                if file.stem == "schema" {
                    schema = file
                    try SchemaScript.check(file)
                } else {
                    do throws(FolderProblem) {
                        let statements = try SQLStatement.statements(of: file, mode: settings.mode)
                        let type = file.stem == "apply" ? nil : file.stem
                        handlers.append(EventHandler(type: type, statements: statements))
                    } catch {
                        problems.append(error)
                    }
                }
            }
            if schema == nil { problems.append(FolderProblem("\(path)/schema.sql: no such file")) }
            if handlers.isEmpty && problems.isEmpty {
                throw FolderProblem("\(path): no statement file; add TYPE.sql for an event type, or apply.sql for all")
            }
            if problems.isEmpty { definition = try FolderDefinition(settings, statements) }
        } catch {
            problems.append(error)
        }
        for type in settings.typeOrder where !handlers.contains(where: { $0.type ?? "apply" == type }) {
            problems.append(FolderProblem("\(path)/projection.toml: projection.types: no file \(type).sql"))
        }
        guard problems.isEmpty, let schema, let definition else { throw InvalidFolder(problems) }
        self.schema = schema
        self.definition = definition
        self.handlers = handlers
    }

    /// The SQL files in the order in which they run.
    private static func statements(in files: FolderFiles, order: [String]) -> [SQLFile] {
        func rank(_ file: SQLFile) -> Int { order.firstIndex(of: file.stem) ?? order.count }
        return files.statements.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }

    // MARK: derived names

    /// The schema of this version's tables: `customer_orders_v1`.
    public var schemaName: String { Self.identifier(name) + "_v\(version)" }

    /// The topics of dead letters and of retries with the default settings.
    public var letterTopics: [String] {
        let route = DeadLetterRoute(consumer: name)
        return [route.letterTopic, route.retryTopic]
    }

    /// Whether a projection may have this name.
    public static func isName(_ name: String) -> Bool { ProjectionFileSettings.problem(ofName: name) == nil }

    static func identifier(_ name: String) -> String { name.map { $0 == "-" ? "_" : String($0) }.joined() }

    /// The checksum of `schema.sql`.
    var schemaChecksum: [UInt8] { SHA256.digest(of: schema.text) }

    /// Whether any statement handles events of this type.
    func handles(_ type: String) -> Bool { handlers.contains { $0.type == nil || $0.type == type } }

    /// Whether an event is applied. Otherwise it is passed over.
    ///
    /// - Throws: if no statement handles its type, and its topic must have only known types.
    func takes(_ event: SQLEvent) throws(EventFailure) -> Bool {
        if handles(event.type) { return true }
        guard policies[event.topic].unknownTypes == .fail else { return false }
        throw EventFailure(
            "unknown_type", "the folder has no statement for the event's type", eventID: event.eventID)
    }

    /// Whether all topics have Millrace's own events, each field where they have it.
    var readsPlainEvents: Bool { topics.allSatisfy { policies[$0].envelope.readsPlainEvents } }
}
