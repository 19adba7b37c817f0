/// The settings of a ``QueryService``.
public struct QueryServiceConfiguration: Sendable, Hashable {
    /// The source of orders that the read model does not have yet.
    public enum Fallback: String, Sendable, CaseIterable {
        case none
        /// The demo shop's tables, which are in the same database.
        case writeModel = "write-model"
    }

    /// The paths that are answered without files of SQL.
    public var builtInPaths: [String] {
        BuiltInPath.allCases.filter { $0.isServed(by: readModels) }.map(\.rawValue)
    }

    /// A read model of orders.
    public enum ReadModel: String, Sendable, CaseIterable {
        case orderSummary = "order-summary"
        /// The dashboard. It also shows the latest orders, so it needs ``orderSummary``.
        case dashboard
    }

    /// The read models of orders that the service reads. If there are none, only queries in SQL are answered, and the
    /// database needs no tables of orders.
    public var readModels = Set(ReadModel.allCases)
    /// Database sessions for reads. Dashboards, waiting and the pipeline have one more session each.
    public var connections = 4
    /// Maximum number of reads that wait for a session.
    public var maxQueued = 2_000
    /// Maximum time that a read waits for a session, in milliseconds.
    public var queueTimeoutMs = 2_000
    /// Maximum time of a read, in milliseconds.
    public var readTimeoutMs = 5_000
    /// The source of orders that the read model does not have.
    public var fallback = Fallback.none
    /// Maximum delay of a replica that answers, in milliseconds.
    public var replicaMaxDelayMs = 5_000
    /// Maximum time that a request may wait for a version, in seconds.
    public var maxWaitSeconds = 30
    /// Maximum number of requests that wait for a version at the same time.
    public var maxWaiters = 5_000
    /// The channel on which the projection of orders sends a notification of applied events, so that waiting requests
    /// are answered at once; nil to only poll.
    public var notifyChannel: String?
    /// Minimum time between two updates of a dashboard, in milliseconds.
    public var updateIntervalMs = 500
    /// Time between two readings of the pipeline's state, in milliseconds.
    public var pipelineIntervalMs = 500
    /// Time without an event after which a stream sends a heartbeat, in milliseconds.
    public var heartbeatMs = 10_000
    /// The queries in SQL files.
    public var sql = SQLQueryConfiguration()

    public init() {}

    /// All problems of the configuration; empty if it is valid.
    public func validate() -> [String] {
        var problems: [String] = []
        func require(_ name: String, _ value: Int, from least: Int) {
            if value < least { problems.append("\(name): must be at least \(least)") }
        }
        require("connections", connections, from: 1)
        require("maxQueued", maxQueued, from: 1)
        require("queueTimeoutMs", queueTimeoutMs, from: 1)
        require("readTimeoutMs", readTimeoutMs, from: 1)
        require("replicaMaxDelayMs", replicaMaxDelayMs, from: 100)
        require("maxWaitSeconds", maxWaitSeconds, from: 0)
        require("maxWaiters", maxWaiters, from: 1)
        require("updateIntervalMs", updateIntervalMs, from: 50)
        require("pipelineIntervalMs", pipelineIntervalMs, from: 50)
        require("heartbeatMs", heartbeatMs, from: 100)
        if readModels.contains(.dashboard), !readModels.contains(.orderSummary) {
            problems.append("readModels: dashboard needs order-summary")
        }
        if fallback == .writeModel, !readModels.contains(.orderSummary) {
            problems.append("fallback: needs order-summary in read_models")
        }
        return problems
    }

    var pool: ReadPoolConfiguration {
        var pool = ReadPoolConfiguration()
        pool.connections = connections
        pool.maxQueued = maxQueued
        pool.queueTimeoutMs = queueTimeoutMs
        pool.statementTimeoutMs = readTimeoutMs
        return pool
    }
}
