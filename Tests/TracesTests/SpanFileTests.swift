import Foundation
import Testing
import Tracing

@testable import Traces

/// The files, as an OpenTelemetry Collector meets them.
@Suite struct SpanFileTests {
    private static func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "millrace-spans-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func file(in folder: String, maxBytes: Int = 1 << 20) -> SpanFile {
        SpanFile(
            directory: folder, name: "relay", maxBytes: maxBytes,
            encoder: OTLPTraces(resource: [("service.name", "relay")], scopeVersion: "1"))
    }

    private static func spans(_ name: String = "work") -> [FinishedSpan] {
        let id = TraceContext.TraceID(high: 1, low: 2)
        let context = TraceContext(traceID: id, spanID: 3, isSampled: true)
        return [
            FinishedSpan(
                context: context, parentID: nil, name: name, kind: .internal, start: 1, end: 2, attributes: [:],
                events: [], links: [], droppedLinks: 0, droppedEvents: 0, status: nil)
        ]
    }

    /// The names of the spans of a file, each line read as JSON by itself.
    private static func names(_ path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return try text.split(separator: "\n").map { line in
            let json = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: [[String: Any]]]
            let scopes = json?["resourceSpans"]?.first?["scopeSpans"] as? [[String: Any]]
            return try #require((scopes?.first?["spans"] as? [[String: Any]])?.first?["name"] as? String)
        }
    }

    @Test func eachExportIsALineAndARestartGoesOn() throws {
        try Self.withFolder { folder in
            do {
                let file = Self.file(in: folder)
                try file.export(Self.spans("a"))
                try file.export(Self.spans("b"))
            }
            try Self.file(in: folder).export(Self.spans("c"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["a", "b", "c"])
            let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/relay.jsonl")[.posixPermissions]
            #expect((mode as? Int).map { $0 & 0o137 } == 0, "others may not read what the daemon does")
        }
    }

    @Test func theFileIsReplacedAtItsLimit() throws {
        try Self.withFolder { folder in
            let file = Self.file(in: folder, maxBytes: 1_000)
            for number in 0..<9 { try file.export(Self.spans("span \(number)")) }
            let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
            #expect(files == ["relay.jsonl", "relay.jsonl.1"])
            for name in files {
                let data = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
                #expect((1...1_000).contains(data.count))
            }
            let kept = try Self.names("\(folder)/relay.jsonl.1") + Self.names("\(folder)/relay.jsonl")
            #expect(kept == (9 - kept.count..<9).map { "span \($0)" }, "the newest, in order, none twice")
        }
    }

    /// A line beyond the limit is written all the same, alone.
    @Test func aLineIsNeverCut() throws {
        try Self.withFolder { folder in
            let file = Self.file(in: folder, maxBytes: 10)
            try file.export(Self.spans("a"))
            try file.export(Self.spans("b"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["b"])
            #expect(try Self.names("\(folder)/relay.jsonl.1") == ["a"])
        }
    }

    @Test func aFileThatWasMovedOrRemovedIsMadeAnew() throws {
        try Self.withFolder { folder in
            let (path, manager) = ("\(folder)/relay.jsonl", FileManager.default)
            let file = Self.file(in: folder)
            try file.export(Self.spans("a"))
            try manager.moveItem(atPath: path, toPath: "\(folder)/elsewhere")
            try file.export(Self.spans("b"))
            #expect(try Self.names(path) == ["b"])
            try manager.removeItem(atPath: path)
            try file.export(Self.spans("c"))
            #expect(try Self.names(path) == ["c"])
            #expect(try Self.names("\(folder)/elsewhere") == ["a"])
        }
    }

    @Test func aSecondProcessHasAFileOfItsOwn() throws {
        try Self.withFolder { folder in
            let (first, second) = (Self.file(in: folder), Self.file(in: folder))
            try first.export(Self.spans("a"))
            try second.export(Self.spans("b"))
            try first.export(Self.spans("c"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["a", "c"])
            #expect(try Self.names("\(folder)/relay-2.jsonl") == ["b"])
        }
    }

    /// A process was killed while it wrote.
    @Test func halfALineSpoilsNoOther() throws {
        try Self.withFolder { folder in
            let path = "\(folder)/relay.jsonl"
            try #"{"resourceSpans":[{"#.write(toFile: path, atomically: false, encoding: .utf8)
            try Self.file(in: folder).export(Self.spans("a"))
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 2 && lines[1].contains(#""name":"a""#) && lines[1].hasPrefix("{"))
        }
    }

    @Test func aFolderThatIsGoneIsTold() throws {
        try Self.withFolder { folder in
            let file = Self.file(in: folder)
            try file.export(Self.spans())
            try FileManager.default.removeItem(atPath: folder)
            let error = #expect(throws: SpanFile.WriteError.self) { try file.export(Self.spans()) }
            #expect(error?.description == "cannot open \(folder)/relay.jsonl: No such file or directory")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try file.export(Self.spans("again"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["again"])
        }
    }

    @Test func aFullDiskIsTold() throws {
        try Self.withFolder { folder in
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/relay.jsonl", withDestinationPath: "/dev/full")
            let error = #expect(throws: SpanFile.WriteError.self) { try Self.file(in: folder).export(Self.spans()) }
            #expect(error?.description == "cannot write to \(folder)/relay.jsonl: No space left on device")
        }
    }
}
