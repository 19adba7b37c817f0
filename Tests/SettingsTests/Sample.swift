import Foundation
import Settings

enum Colour: String, CaseIterable {
    case red, green, blue
}

/// A declaration with one setting of every kind.
struct Sample: SettingsDeclaration {
    var colour: Colour
    var name: String
    var note: String?
    var rows: Int
    var linger: Int
    var drain: Int
    var verbose: Bool
    var topics: [String]
    var column: String
    var servers: String
    var properties: [String: String]
    var url: String
    var sessions: [String: String]
    var password: Secret?
    var tokens: [String]

    init(from reader: SettingsReader) {
        let log = reader.section("log", "What is written.")
        colour = log.choice("colour", default: Colour.green, "The colour of lines.")
        name = log.string("name", default: "mill", "Who writes.") { $0.contains(" ") ? "must not hold spaces" : nil }
        note = log.optionalString("note", example: "hello", "A note.")
        let work = reader.section("work", "What is done.")
        rows = work.integer("rows", default: 1_000, in: 1...10_000, "Rows of a batch.")
        linger = work.integer("linger_ms", default: 5, in: 0...1_000, "How long a batch waits.")
        drain = work.integer("drain_s", default: 30, in: 0...Int.max, "How long a stop may take.")
        verbose = work.boolean("verbose", default: false, "Whether to say more.")
        topics = work.strings("topics", default: ["a", "b"], "What is read.")
        let table = reader.section("work.table", "Columns.")
        column = table.string("column", default: "id", "The first.")
        if rows < 10, verbose { work.reject("rows", "too few to be verbose about") }
        let kafka = reader.section("kafka", "The brokers.")
        servers = kafka.requiredString(
            "servers", example: "localhost:9092", environment: "TEST_SERVERS", "Where brokers are.")
        properties = kafka.properties(
            "properties", underscoreIsDot: true, examples: [("linger.ms", "5")], "librdkafka's own."
        ) { $0 == "group.id" ? "is set by the program" : nil }
        let database = reader.section("database", "The database.")
        url = database.requiredURL(
            "url", schemes: ["postgresql", "postgres"], example: "postgresql://localhost/mill",
            password: "password", "Where it is.")
        sessions = database.properties(
            "settings", underscoreIsDot: false, examples: [("work_mem", "\"4MB\"")], "The sessions' own.")
        password = database.secret("password", example: "pg-password", "Its password.")
        tokens = database.secretFiles("token_files", "Who may ask.")
    }
}

/// A folder with configuration files. It is deleted when the test ends.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "millrace-settings-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path + "/conf.d", withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: path + "/" + name, atomically: false, encoding: .utf8)
        return path + "/" + name
    }
}

/// The minimum of a valid configuration.
let required = "[kafka]\nservers = \"k:9092\"\n[database]\nurl = \"postgresql://d/x\"\n"

/// The error text of `Sample.load`, without the folder's name.
func problems(of sources: SettingsSources, in folder: Folder? = nil) -> String {
    do {
        _ = try Sample.load(sources)
        return "no problem"
    } catch {
        return error.description.replacingOccurrences(of: folder.map { $0.path + "/" } ?? "\u{0}", with: "")
    }
}
