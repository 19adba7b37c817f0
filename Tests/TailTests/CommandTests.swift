import Foundation
import Kafka
import TestKit
import Testing

/// Runs `millrace tail` as a process.
@Suite struct CommandTests {
    private static func arguments(_ topic: String, _ more: String...) throws -> [String] {
        let kafka = try TestKafka.clientConfiguration()
        return ["tail", topic] + more + ["--bootstrap-servers", kafka.bootstrapServers]
            + kafka.properties.flatMap { ["--kafka", "\($0.key)=\($0.value)"] }
    }

    private static func send(_ topic: String, _ values: [String]) async throws {
        let producer = try Producer(try TestKafka.clientConfiguration()) { _ in }
        for value in values { try await producer.send(topic: topic, key: nil, value: Array(value.utf8)) }
        await producer.close(timeoutMs: 5_000)
    }

    @Test func standardOutputIsDataOnlyAndASignalEndsIt() async throws {
        try await TestKafka.withTopics { topics in
            try await Self.send(topics[0], ["a", "b"])
            let once = try Executable("millrace", try Self.arguments(topics[0], "-o", "raw"))
            #expect(try await once.exitCode() == 0)
            #expect(once.output == "a\nb\n" && once.errors == "")
            let following = try Executable("millrace", try Self.arguments(topics[0], "-f", "-n", "1", "-o", "json"))
            try await eventually { following.output.contains("\"valueText\":\"b\"") }
            following.signal(SIGINT)
            let code = try await following.exitCode()
            #expect(code == 0, "\(code): \(following.errors)")
            #expect(following.output.hasPrefix("[{") && following.output.hasSuffix("}]\n"))
        }
    }

    @Test func aClosedPipeIsNoFailure() async throws {
        try await TestKafka.withTopics { topics in
            try await Self.send(topics[0], (0..<3_000).map { "value-\($0)" })
            let process = Process()
            process.executableURL = Executable.url(of: "millrace")
            process.arguments = try Self.arguments(topics[0], "-f", "--from", "beginning", "-o", "raw")
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = FileHandle.nullDevice
            try process.run()
            let first = try pipe.fileHandleForReading.read(upToCount: 8)
            #expect(first == Data("value-0\n".utf8))
            try pipe.fileHandleForReading.close()
            try await eventually { !process.isRunning }
            #expect(process.terminationReason == .exit && process.terminationStatus == 0)
        }
    }

    @Test func whatIsNotThereIsSaidOnStandardError() async throws {
        try await TestKafka.withTopics { topics in
            let command = try Executable("millrace", try Self.arguments(topics[0] + "-not"))
            #expect(try await command.exitCode() == 69)
            #expect(command.output == "")
            #expect(command.errors.contains("topic \(topics[0])-not does not exist. Topics: "), "\(command.errors)")
        }
    }
}
