import Foundation
import Kafka
import StreamCore
import Synchronization
import TestKit
import Testing

@testable import Tail

/// The output of `tail` with the tests' cluster.
@Suite struct ReaderTests {
    /// A running tail that writes to a file.
    private final class Run: Sendable {
        let file = NSTemporaryDirectory() + "millrace-tail-\(UUID().uuidString)"
        private let isStopping = Mutex(false)
        private let descriptor: Int32

        init() {
            descriptor = openedForWriting(file)
        }

        deinit {
            close(descriptor)
            try? FileManager.default.removeItem(atPath: file)
        }

        var output: String { String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self) }
        var lines: [String] { output.split(separator: "\n").map(String.init) }

        func stop() { isStopping.withLock { $0 = true } }

        func run(_ request: TailRequest, _ output: String, _ kafka: KafkaClientConfiguration) async throws {
            var settings = PrinterSettings()
            settings.output = try RecordOutput(parsing: output)
            let stopping: @Sendable () -> Bool = { [self] in isStopping.withLock { $0 } }
            let reader = try TailReader(
                kafka, request, to: DataOutput(descriptor: descriptor, isStopping: stopping), isStopping: stopping,
                onTrouble: { _ in })
            try await reader.run(settings)
        }
    }

    private static let line = #"%p/%o %k %s\n"#

    /// Runs a tail until it ends.
    private func tail(
        _ topics: [String], _ output: String = line, _ change: (inout TailRequest) -> Void = { _ in }
    ) async throws -> [String] {
        var request = TailRequest(topics: topics.map { TopicPattern($0) })
        change(&request)
        let run = Run()
        try await run.run(request, output, TestKafka.clientConfiguration())
        return run.lines
    }

    /// A recent time for records, in milliseconds since 1970. A broker may remove old records at any time.
    private static func recently() -> Int64 { Int64(Date().timeIntervalSince1970 * 1_000) - 60_000 }

    /// Sends records one after the other. Times are milliseconds since 1970; 0 means now.
    private func send(_ topic: String, _ records: [(value: String?, timestampMs: Int64)]) async throws {
        let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
        for record in records {
            try await producer.send(
                topic: topic, key: Array("k".utf8), value: record.value.map { Array($0.utf8) },
                timestampMs: record.timestampMs)
        }
        await producer.close(timeoutMs: 5_000)
    }

    @Test func allRecordsOfATopicToItsEnd() async throws {
        try await TestKafka.withTopics { topics in
            try await send(topics[0], [("a", 0), (nil, 0), ("", 0)])
            #expect(try await tail(topics) == ["0/0 k a", "0/1 k null", "0/2 k "])
            #expect(try await tail(topics) { $0.from = .offset(1) } == ["0/1 k null", "0/2 k "])
            #expect(try await tail(topics) { $0.from = .beforeEnd(1) } == ["0/2 k "])
            #expect(try await tail(topics) { $0.to = .offset(1) } == ["0/0 k a"])
            #expect(try await tail(topics) { $0.from = .end } == [])
            #expect(try await tail(topics) { $0.limit = 2 }.count == 2)
            #expect(try await tail(topics) { $0.filter = RecordFilter([.contains(Array("a".utf8))]) }.count == 1)
            #expect(try await tail(topics, "json") { $0.from = .end } == ["[]"])
        }
    }

    /// This also works with brokers that cannot find offsets by time, such as the mock.
    @Test func recordsOfATime() async throws {
        try await TestKafka.withTopics { topics in
            let start = Self.recently()
            try await send(topics[0], [("a", start), ("b", start + 1_000), ("c", start + 2_000)])
            let later = try await tail(topics) { $0.from = .time(start + 1_000) }
            #expect(later == ["0/1 k b", "0/2 k c"])
            #expect(try await tail(topics) { $0.to = .time(start + 1_000) } == ["0/0 k a"])
            #expect(try await tail(topics) { $0.from = .time(start + 2_001) } == [])
        }
    }

    @Test func theLastOnesOfSeveralPartitionsAndTopics() async throws {
        try await TestKafka.withTopics(2, partitions: 1) { topics in
            let start = Self.recently()
            try await send(topics[0], [("1", start), ("3", start + 30), ("5", start + 50)])
            try await send(topics[1], [("2", start + 20), ("4", start + 40)])
            let output = #"%s\n"#
            #expect(try await tail(topics, output) { $0.last = 3 } == ["3", "4", "5"])
            #expect(try await tail(topics, output) { $0.last = 10 } == ["1", "2", "3", "4", "5"])
            // Finds the last matching records, however old they are.
            let matching = RecordFilter([.any([.contains(Array("1".utf8)), .contains(Array("4".utf8))])])
            let found = try await tail(topics, output) {
                $0.last = 2
                $0.filter = matching
            }
            #expect(found == ["1", "4"])
        }
    }

    @Test func aPatternIsAllTopicsThatFit() async throws {
        let name = TestKafka.uniqueName("tail")
        let names = ["\(name)-a", "\(name)-b", "other-\(name)"]
        try await TestKafka.withTopics(named: names, partitions: 1) {
            for topic in names { try await send(topic, [("v", 0)]) }
            let found = try await tail(["\(name)-*"], #"%t\n"#)
            #expect(found.sorted() == ["\(name)-a", "\(name)-b"])
            #expect(try await tail(["\(name)-?"]) { $0.partitions = [0, 7] }.count == 2)
            let missing = try await #require(throws: TailError.self) { try await tail(["\(name)-c"]) }
            #expect(missing.description.contains("topic \(name)-c does not exist. Topics: "))
            await #expect(throws: TailError.self) { try await tail(["\(name)-a"]) { $0.partitions = [7] } }
        }
    }

    @Test func followingShowsWhatComes() async throws {
        try await TestKafka.withTopics { topics in
            try await send(topics[0], [("a", 0), ("b", 0)])
            let run = Run()
            var request = TailRequest(topics: [TopicPattern(topics[0])])
            request.last = 1
            request.follows = true
            let kafka = try TestKafka.clientConfiguration()
            async let ended: Void = run.run(request, Self.line, kafka)
            try await eventually { run.lines == ["0/1 k b"] }
            try await send(topics[0], [("c", 0)])
            try await eventually { run.lines == ["0/1 k b", "0/2 k c"] }
            run.stop()
            try await ended
        }
    }

    @Test(.disabled(if: TestKafka.isMock, "the mock can add no partitions"))
    func aPartitionAddedMeanwhileIsShownFromItsBeginning() async throws {
        try await TestKafka.withTopics { topics in
            let run = Run()
            var request = TailRequest(topics: [TopicPattern(topics[0])])
            request.follows = true
            let kafka = try TestKafka.clientConfiguration()
            async let ended: Void = run.run(request, #"%p/%o\n"#, kafka)
            try await send(topics[0], [("a", 0)])
            try await eventually { run.lines == ["0/0"] }
            try await KafkaAdmin(kafka).addPartitions(to: topics[0], total: 8)
            let producer = try Producer(kafka) { _ in }
            // The producer learns about the new partitions at its next metadata refresh.
            try await eventually {
                let key = Array(UUID().uuidString.utf8)
                return try await producer.send(topic: topics[0], key: key, value: [0x61]).partition != 0
            }
            try await eventually { run.lines.contains { !$0.hasPrefix("0/") } }
            await producer.close(timeoutMs: 5_000)
            run.stop()
            try await ended
        }
    }

    /// Transaction markers and aborted records have offsets, but `tail` does not print them.
    @Test(.disabled(if: TestKafka.isMock, "the mock knows no transaction markers"))
    func theLastOnesAreRecordsAndNotOffsets() async throws {
        try await TestKafka.withTopics { topics in
            let kafka = try TestKafka.clientConfiguration()
            let transaction = Transaction(kafka, topic: topics[0])
            for value: UInt8 in 0x61...0x63 {
                try await transaction.run([([1], [value])], .commit)
                try await transaction.run([([1], [0x78]), ([1], [0x78])], .abort)
            }
            #expect(try await tail(topics, #"%s\n"#) { $0.last = 3 } == ["a", "b", "c"])
            #expect(try await tail(topics, #"%s\n"#) == ["a", "b", "c"])
        }
    }

    @Test func aPipeThatNobodyReadsEndsIt() async throws {
        try await TestKafka.withTopics { topics in
            try await send(topics[0], [("a", 0)])
            let pipe = Pipe()
            try pipe.fileHandleForReading.close()
            let output = DataOutput(
                descriptor: pipe.fileHandleForWriting.fileDescriptor, isStopping: { false })
            #expect(output.hasNoReader)
            let isWritten = try output.write([0x61].span)
            #expect(!isWritten)
            var request = TailRequest(topics: [TopicPattern(topics[0])])
            request.follows = true
            request.from = .end
            let reader = try TailReader(
                TestKafka.clientConfiguration(), request, to: output, isStopping: { false }, onTrouble: { _ in })
            // The tail has nothing to write, but it still ends.
            try await reader.run(PrinterSettings())
            withExtendedLifetime(pipe) {}
        }
    }

    @Test func aReaderThatTakesNothingDoesNotHoldUpTheEnd() async throws {
        let pipe = Pipe()
        let stop = Flag()
        let output = DataOutput(
            descriptor: pipe.fileHandleForWriting.fileDescriptor, isStopping: { stop.isSet.load(ordering: .relaxed) })
        let writing = Task.detached {
            defer { stop.hasEnded.store(true, ordering: .relaxed) }
            return try output.write([UInt8](repeating: 0x61, count: 1 << 20).span)
        }
        // A pipe without a reader is full after 64 KiB, so the write is blocked in the middle.
        let first = try pipe.fileHandleForReading.read(upToCount: 1)
        #expect(first?.count == 1)
        let hasEnded = stop.hasEnded.load(ordering: .relaxed)
        #expect(!hasEnded)
        stop.isSet.store(true, ordering: .relaxed)
        #expect(try await writing.value == false)
        withExtendedLifetime(pipe) {}
    }

    private final class Flag: Sendable {
        let isSet = Atomic(false)
        let hasEnded = Atomic(false)
    }

    @Test func aFullDiskIsAnError() throws {
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        let output = DataOutput(descriptor: full.fileDescriptor, isStopping: { false })
        #expect(throws: DataOutputError.self) { _ = try output.write([0x61].span) }
        try full.close()
    }
}

private func openedForWriting(_ path: String) -> Int32 {
    // SAFETY: `open` only borrows the path.
    unsafe open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
}
