import Foundation
import Kafka
import StreamCore

/// `millrace tail` on 1,000,000 records. The limit is kcat on the same records in the same run. If only the values are
/// printed, both write the same bytes. The other results are those of filters that match one record in a thousand.
enum TailBench {
    static let name = "tail"
    static let records = 1_000_000

    @Sendable static func run(on servers: BenchServers) async throws -> [BenchResult] {
        let topic = servers.topics[0]
        try await fill(topic, on: servers)
        let read = ["-b", servers.kafka.bootstrapServers]
        let kcat = try await measure(
            "kcat", path("kcat"), ["-C", "-q", "-e", "-o", "beginning", "-t", topic] + read, lines: records)
        var results = [BenchResult(name: name)]
        let all = ["--from", "beginning", "-o", "raw"]
        let raw = try await tail(topic, all, on: servers, lines: records)
        guard raw.bytes == kcat.bytes else { throw BenchError("kcat wrote \(kcat.bytes) bytes, tail \(raw.bytes)") }
        results[0].take(raw)
        results[0].limitPerS = Double(records) / kcat.seconds
        results[0].ratio = kcat.seconds / raw.seconds
        for (kind, condition) in [("header", ["--header", "batch=7"]), ("where", ["--where", "payload.batch==7"])] {
            let run = try await tail(topic, all + condition, on: servers, lines: records / 1_000)
            var result = BenchResult(name: "\(name)-\(kind)")
            result.take(run)
            results.append(result)
        }
        return results
    }

    struct Run {
        let seconds: Double
        let bytes: Int
    }

    private static func tail(
        _ topic: String, _ arguments: [String], on servers: BenchServers, lines: Int
    ) async throws -> Run {
        let program = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "millrace")
        return try await measure(
            "tail", program, ["tail", topic, "--bootstrap-servers", servers.kafka.bootstrapServers] + arguments,
            lines: lines)
    }

    /// Runs a program to its end, with its output in a file.
    private static func measure(
        _ what: String, _ program: URL, _ arguments: [String], lines: Int
    ) async throws -> Run {
        let file = FileManager.default.temporaryDirectory.appending(path: "millrace-bench-tail-\(UUID().uuidString)")
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.standardOutput = try FileHandle(forWritingTo: file)
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in end.finish() }
        let start = ContinuousClock.now
        try process.run()
        for await _ in ends {}
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let code = process.terminationStatus
        guard code == 0 else { throw BenchError("\(what) ended with \(code)") }
        let output = try Data(contentsOf: file, options: .alwaysMapped)
        let count = output.count { $0 == 0x0A }
        guard count == lines else { throw BenchError("\(what) wrote \(count) lines instead of \(lines)") }
        say("\(what): \(Int(Double(records) / seconds)) records/s, \(output.count >> 20) MiB")
        return Run(seconds: seconds, bytes: output.count)
    }

    private static func path(_ program: String) throws -> URL {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let candidates = folders.map { URL(filePath: String($0)).appending(path: program) }
        guard let found = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
            throw BenchError("\(program) is not installed: scripts/setup bench")
        }
        return found
    }

    private static func fill(_ topic: String, on servers: BenchServers) async throws {
        let producer = try Producer(servers.kafkaCompressed) { _ in }
        for number in 0..<records {
            let batch = Array("\(number % 1_000)".utf8)
            let key = Array("ord-\(number % 50_000)".utf8)
            let value = Array(event(number).utf8)
            while true {
                let headers = RecordHeaders(capacity: 3)
                headers.append("event-type", type.span)
                headers.append("batch", batch.span)
                headers.append("content-type", json.span)
                do throws(KafkaError) {
                    try producer.produce(topic: topic, key: key.span, value: value.span, headers: headers, tag: 0)
                    break
                } catch {
                    guard error.isQueueFull else { throw error }
                    await producer.waitForSpace()
                }
            }
        }
        try await producer.flush(timeoutMs: 120_000)
        await producer.close(timeoutMs: 5_000)
        let produced = try await servers.recordsProduced(to: topic)
        guard produced == records else { throw BenchError("\(produced) records were produced instead of \(records)") }
    }

    private static let type = Array("OrderCreated".utf8)
    private static let json = Array("application/json".utf8)

    /// An envelope of about 400 bytes.
    private static func event(_ number: Int) -> String {
        """
        {"eventId":"00000000-0000-4000-8000-\(String(1_000_000_000_000 + number).dropFirst())",\
        "eventType":"OrderCreated","aggregateId":"ord-\(number % 50_000)","aggregateType":"Order",\
        "sequence":\(number / 50_000 + 1),"timestamp":"2026-03-01T12:00:00.000000Z","version":1,\
        "metadata":{"source":"bench"},"payload":{"orderId":"ord-\(number % 50_000)","batch":\(number % 1_000),\
        "customerId":"cus-\(number % 999)","items":[{"sku":"A-1","quantity":2,"unitPrice":"12.50"}],"currency":"EUR"}}
        """
    }
}

extension BenchResult {
    fileprivate mutating func take(_ run: TailBench.Run) {
        events = TailBench.records
        seconds = run.seconds
        eventsPerS = Double(TailBench.records) / run.seconds
    }
}
