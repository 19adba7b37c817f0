import Foundation
import FoundationNetworking
import TestKit
import Testing

/// A running daemon that answers requests over HTTP.
struct RunningService {
    typealias Answer = ServiceClient.Answer

    let process: Executable
    let client: ServiceClient

    /// Waits until the daemon serves.
    ///
    /// - Parameter purpose: the word after "serving" in its log line.
    init(_ process: Executable, serving purpose: String) async throws {
        self.process = process
        let text = "serving \(purpose) address="
        try await process.waitForLog(text)
        let line = process.errors.split(separator: "\n").first { $0.contains(text) }
        client = ServiceClient(port: try #require(line?.split(separator: ":").last.flatMap { Int($0) }))
    }

    var port: Int { client.port }

    func get(_ target: String, headers: [String: String] = [:]) async throws -> Answer {
        try await client.send("GET", target, headers: headers)
    }

    func post(_ target: String, _ body: String = "", headers: [String: String] = [:]) async throws -> Answer {
        try await client.send("POST", target, body, headers: headers)
    }

    func send(_ method: String, _ target: String, _ body: String = "") async throws -> Answer {
        try await client.send(method, target, body)
    }
}

/// Sends requests to a daemon of this machine.
struct ServiceClient: Sendable {
    let port: Int

    struct Answer: Sendable {
        let status: Int
        let body: String
        let headers: [String: String]

        func header(_ name: String) -> String? { headers[name.lowercased()] }
    }

    func send(
        _ method: String, _ target: String, _ body: String = "", headers: [String: String] = [:]
    ) async throws -> Answer {
        let url = try #require(URL(string: "http://127.0.0.1:\(port)\(target)"))
        var request = URLRequest(url: url, timeoutInterval: 60)
        request.httpMethod = method
        if !body.isEmpty {
            request.httpBody = Data(body.utf8)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        request.cachePolicy = .reloadIgnoringLocalCacheData
        let (data, response) = try await URLSession.shared.data(for: request)
        let http = try #require(response as? HTTPURLResponse)
        let fields = http.allHeaderFields.map { ("\($0.key)".lowercased(), "\($0.value)") }
        return Answer(
            status: http.statusCode, body: String(decoding: data, as: UTF8.self), headers: Dictionary(fields) { $1 })
    }
}
