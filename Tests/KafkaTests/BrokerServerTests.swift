import EmbeddedKafka
import Foundation
import Kafka
import TestKit
import Testing

@Suite struct BrokerServerTests {
    static let program = try? BrokerServer.findProgram(in: ProcessInfo.processInfo.environment)

    @Test func whereThereIsNoneItSaysWhatToInstall() throws {
        let error = #expect(throws: BrokerServerError.self) {
            try BrokerServer.findProgram(in: ["PATH": "/nowhere"])
        }
        #expect(error?.description.contains("pip install noida-db") == true)
        #expect(try BrokerServer.findProgram(in: ["MILLRACE_BROKER": "/opt/broker", "PATH": ""]) == "/opt/broker")
    }

    @Test(.enabled(if: program != nil, "noida-db is not installed"))
    func whatItAcknowledgedIsThereAfterARestart() async throws {
        let program = try #require(Self.program)
        try await TestSlots.hold {
            let folder = "/tmp/millrace-test-broker-" + String(UInt64.random(in: .min ... .max), radix: 36)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let first = try await BrokerServer.start(program: program, folder: folder)
            try await Self.withClient(of: first) { admin, producer in
                try await admin.createTopic("kept", partitions: 1)
                for value in UInt8(1)...3 { _ = try await producer.send(topic: "kept", key: [1], value: [value]) }
            }
            await first.stop()
            let second = try await BrokerServer.start(program: program, folder: folder, port: first.port)
            #expect(second.bootstrapServers == first.bootstrapServers)
            try await Self.withClient(of: second) { admin, _ in
                let partitions = try #require(try await admin.partitions()["kept"])
                #expect(try await admin.watermarks(of: partitions).values.map(\.high) == [3])
            }
            await second.stop()
        }
    }

    /// A broker with much data needs minutes to start. The start must end early if its task is cancelled or the caller
    /// stops waiting.
    @Test(arguments: [true, false])
    func startThatNobodyWantsEnds(isCancelled: Bool) async throws {
        let folder = "/tmp/millrace-test-broker-" + String(UInt64.random(in: .min ... .max), radix: 36)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let program = folder + "/broker"
        try "#!/bin/sh\necho $$ > \(folder)/pid\nexec sleep 300\n".write(
            toFile: program, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
        try await withThrowingTaskGroup(of: BrokerServer.self) { group in
            group.addTask {
                try await BrokerServer.start(program: program, folder: folder) {
                    !FileManager.default.fileExists(atPath: folder + "/enough")
                }
            }
            try await eventually { FileManager.default.fileExists(atPath: folder + "/pid") }
            if isCancelled { group.cancelAll() } else { try Data().write(to: URL(filePath: folder + "/enough")) }
            let error = await #expect(throws: BrokerServerError.self) { try await group.next() }
            #expect(error?.description == "the broker was stopped during its start")
        }
        let text = try String(contentsOfFile: folder + "/pid", encoding: .utf8)
        let process = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(kill(process, 0) != 0 && errno == ESRCH)
    }

    private static func withClient(
        of broker: BrokerServer, _ body: (KafkaAdmin, Producer) async throws -> Void
    ) async throws {
        let configuration = KafkaClientConfiguration(bootstrapServers: broker.bootstrapServers)
        let producer = try Producer(configuration) { _ in }
        let result: Result<Void, any Error>
        do { result = .success(try await body(KafkaAdmin(configuration), producer)) } catch { result = .failure(error) }
        await producer.close(timeoutMs: 5_000)
        try result.get()
    }
}
