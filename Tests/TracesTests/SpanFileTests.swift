import Foundation
import Glibc
import Testing
import Tracing

@testable import Traces

/// The files as an OpenTelemetry Collector finds them.
@Suite struct SpanFileTests {
    private static func withFolder(_ body: (String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "millrace-spans-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(folder)
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

    /// The names of the spans in a file. Each line must be valid JSON by itself.
    private static func names(_ path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.isEmpty || text.hasSuffix("\n"))
        return try text.split(separator: "\n").map { line in
            let json = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: [[String: Any]]]
            let scopes = json?["resourceSpans"]?.first?["scopeSpans"] as? [[String: Any]]
            return try #require((scopes?.first?["spans"] as? [[String: Any]])?.first?["name"] as? String)
        }
    }

    @Test func eachExportIsALineAndARestartGoesOn() async throws {
        try await Self.withFolder { folder in
            do {
                let file = Self.file(in: folder)
                _ = try await file.export(Self.spans("a"))
                _ = try await file.export(Self.spans("b"))
                await file.close()
            }
            _ = try await Self.file(in: folder).export(Self.spans("c"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["a", "b", "c"])
            let mode = try FileManager.default.attributesOfItem(atPath: "\(folder)/relay.jsonl")[.posixPermissions]
            #expect((mode as? Int).map { $0 & 0o137 } == 0, "other users may not read the file")
        }
    }

    /// A process that starts another one shares its open files with it for a moment.
    @Test func aChildThatStillHoldsTheFileDoesNotHoldItsLock() async throws {
        try await Self.withFolder { folder in
            let path = "\(folder)/relay.jsonl"
            let file = Self.file(in: folder)
            _ = try await file.export(Self.spans("a"))
            let shared = dup(try #require(Self.descriptor(of: path)))
            defer { close(shared) }
            await file.close()
            _ = try await Self.file(in: folder).export(Self.spans("b"))
            #expect(try Self.names(path) == ["a", "b"])
        }
    }

    /// The descriptor by which this process holds a file open.
    private static func descriptor(of path: String) -> Int32? {
        let open = "/proc/self/fd"
        let manager = FileManager.default
        guard let descriptors = try? manager.contentsOfDirectory(atPath: open) else { return nil }
        return descriptors.first { (try? manager.destinationOfSymbolicLink(atPath: "\(open)/\($0)")) == path }
            .flatMap { Int32($0) }
    }

    @Test func theFileIsReplacedAtItsLimit() async throws {
        try await Self.withFolder { folder in
            let file = Self.file(in: folder, maxBytes: 1_000)
            for number in 0..<9 { _ = try await file.export(Self.spans("span \(number)")) }
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

    /// A line that exceeds the limit is still written, alone in its file.
    @Test func aLineIsNeverCut() async throws {
        try await Self.withFolder { folder in
            let file = Self.file(in: folder, maxBytes: 10)
            _ = try await file.export(Self.spans("a"))
            _ = try await file.export(Self.spans("b"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["b"])
            #expect(try Self.names("\(folder)/relay.jsonl.1") == ["a"])
        }
    }

    @Test func aFileThatWasMovedOrRemovedIsMadeAnew() async throws {
        try await Self.withFolder { folder in
            let (path, manager) = ("\(folder)/relay.jsonl", FileManager.default)
            let file = Self.file(in: folder)
            _ = try await file.export(Self.spans("a"))
            try manager.moveItem(atPath: path, toPath: "\(folder)/elsewhere")
            _ = try await file.export(Self.spans("b"))
            #expect(try Self.names(path) == ["b"])
            try manager.removeItem(atPath: path)
            _ = try await file.export(Self.spans("c"))
            #expect(try Self.names(path) == ["c"])
            #expect(try Self.names("\(folder)/elsewhere") == ["a"])
        }
    }

    @Test func aSecondProcessHasAFileOfItsOwn() async throws {
        try await Self.withFolder { folder in
            let (first, second) = (Self.file(in: folder), Self.file(in: folder))
            _ = try await first.export(Self.spans("a"))
            _ = try await second.export(Self.spans("b"))
            _ = try await first.export(Self.spans("c"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["a", "c"])
            #expect(try Self.names("\(folder)/relay-2.jsonl") == ["b"])
        }
    }

    /// A process was killed while it wrote a line.
    @Test func halfALineSpoilsNoOther() async throws {
        try await Self.withFolder { folder in
            let path = "\(folder)/relay.jsonl"
            try #"{"resourceSpans":[{"#.write(toFile: path, atomically: false, encoding: .utf8)
            _ = try await Self.file(in: folder).export(Self.spans("a"))
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 2 && lines[1].contains(#""name":"a""#) && lines[1].hasPrefix("{"))
        }
    }

    @Test func aFolderThatIsGoneIsTold() async throws {
        try await Self.withFolder { folder in
            let file = Self.file(in: folder)
            _ = try await file.export(Self.spans())
            try FileManager.default.removeItem(atPath: folder)
            let error = await #expect(throws: SpanFile.WriteError.self) {
                try await file.export(Self.spans())
            }
            #expect(error?.description == "cannot open \(folder)/relay.jsonl: No such file or directory")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            _ = try await file.export(Self.spans("again"))
            #expect(try Self.names("\(folder)/relay.jsonl") == ["again"])
        }
    }

    @Test func aFullDiskIsTold() async throws {
        try await Self.withFolder { folder in
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/relay.jsonl", withDestinationPath: "/dev/full")
            let error = await #expect(throws: SpanFile.WriteError.self) {
                try await Self.file(in: folder).export(Self.spans())
            }
            #expect(error?.description == "cannot write to \(folder)/relay.jsonl: No space left on device")
        }
    }
}
