import Foundation
import Logging
import StreamCore
import Synchronization
import Testing

@testable import Daemon

@Suite struct LineLogHandlerTests {
    private final class Lines: Sendable {
        let bytes = Mutex<[UInt8]>([])
        var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    }

    private let lines = Lines()

    private func logger(_ format: LogFormat, level: Logger.Level = .info) -> Logger {
        Logger(label: "relay") { [lines] label in
            LineLogHandler(label: label, level: Live(level), format: format) { line in
                lines.bytes.withLock { $0 += line }
            }
        }
    }

    /// A changed level applies to existing loggers, except to those that have a level of their own.
    @Test func levels() {
        let level = Live(Logger.Level.warning)
        let logger = Logger(label: "relay") { [lines] label in
            LineLogHandler(label: label, level: level, format: .text) { line in lines.bytes.withLock { $0 += line } }
        }
        var quiet = logger
        quiet.logLevel = .error
        logger.info("first")
        level.set(.debug)
        logger.debug("second")
        quiet.info("third")
        #expect(!lines.text.contains("first") && lines.text.contains("second") && !lines.text.contains("third"))
    }

    @Test func text() throws {
        var logger = logger(.text)
        logger[metadataKey: "shard"] = "0"
        logger.warning(
            "two\nlines", metadata: ["b": "with space", "a": "word", "c": "", "d": "q\"q", "e": ["x"]])
        let line = lines.text
        #expect(
            line.hasSuffix(
                " WARNING  two\\nlines a=word b=\"with space\" c=\"\" d=\"q\\\"q\" e=\"[\\\"x\\\"]\" shard=0\n"
            ), "\(line)")
        #expect(line.utf8.count { $0 == UInt8(ascii: "\n") } == 1)
        let time = try #require(line.split(separator: " ").first)
        #expect(Timestamp(String(time)) != nil, "\(time)")
    }

    @Test func json() throws {
        logger(.json).error(
            "says \"no\"\t\u{1}", metadata: ["rows": "\(5)", "message": "kept apart", "path": "a\\b"])
        let line = lines.text
        #expect(line.hasSuffix("}\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(object["level"] == "error")
        #expect(object["logger"] == "relay")
        #expect(object["message"] == "says \"no\"\t\u{1}")
        #expect(object["message_"] == "kept apart")
        #expect(object["rows"] == "5")
        #expect(object["path"] == "a\\b")
        #expect(object["time"].flatMap { Timestamp($0) } != nil)
    }

    /// C1 control characters, line separators, marks that change the text direction, and a tag beyond the basic plane.
    @Test(arguments: [LogFormat.text, .json])
    func nothingSpoilsALine(_ format: LogFormat) throws {
        let spoiling = "a\u{9B}31m\u{85}b\u{2028}c\u{2029}d\u{202E}e\u{7F}\u{1B}[2J\u{E0041}é漢"
        logger(format).error("\(spoiling)", metadata: ["value": "\(spoiling)"])
        let line = lines.text
        let escaped = #"a\u009b31m\u0085b\u2028c\u2029d\u202ee\u007f\u001b[2J\udb40\udc41é漢"#
        #expect(line.components(separatedBy: escaped).count == 3, "\(line)")
        #expect(line.unicodeScalars.allSatisfy { $0 == "\n" || !PrintableText.isUnsafe($0) })
        if format == .json {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
            #expect(object["value"] == spoiling)
        }
    }

    @Test func whateverIsLoggedHasALimit() {
        logger(.text).info("m", metadata: ["value": "\(String(repeating: "é", count: 100_000))"])
        #expect(lines.text.utf8.count < 2_200)
        #expect(lines.text.hasSuffix("…\n"))
    }

    @Test func lessThanTheLevelIsNotWritten() {
        let logger = logger(.text, level: .warning)
        logger.notice("no")
        logger.warning("yes")
        #expect(!lines.text.contains("no"))
        #expect(lines.text.contains("yes"))
    }

    @Test func errorsAreValues() {
        struct Failure: Error, CustomStringConvertible { let description = "it broke" }
        logger(.text).error("failed", error: Failure())
        #expect(lines.text.hasSuffix(" failed error=\"it broke\"\n"), "\(lines.text)")
    }
}
