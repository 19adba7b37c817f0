import Foundation
import FoundationNetworking
import Synchronization
import TestKit
import Testing

/// Sends one query to a query service repeatedly until `end()` is called.
final class FolderQuestions: Sendable {
    private let isOver = Mutex(false)
    private let url: URL

    init(_ service: Executable, _ query: String) async throws {
        let text = "serving queries address="
        try await service.waitForLog(text)
        let line = service.errors.split(separator: "\n").first { $0.contains(text) }
        let port = try #require(line?.split(separator: ":").last.flatMap { Int($0) })
        url = try #require(URL(string: "http://127.0.0.1:\(port)/v1/q/\(query)"))
    }

    /// Sends the query once. A status other than 200 fails the test.
    func one() async throws -> String {
        let (data, response) = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
        let text = String(decoding: data, as: UTF8.self)
        #expect((response as? HTTPURLResponse)?.statusCode == 200, "\(text)")
        return text
    }

    /// - Returns: the number of requests, and the responses with a status other than 200.
    func ask() async throws -> (count: Int, failures: [String]) {
        var count = 0
        var failures: [String] = []
        while !isOver.withLock({ $0 }) {
            let (data, response) = try await URLSession.shared.data(for: URLRequest(url: url, timeoutInterval: 60))
            if (response as? HTTPURLResponse)?.statusCode != 200 {
                failures.append(String(decoding: data.prefix(200), as: UTF8.self))
            }
            count += 1
        }
        return (count, failures)
    }

    func end() { isOver.withLock { $0 = true } }
}
