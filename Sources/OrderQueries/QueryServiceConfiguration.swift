/// How a ``QueryService`` answers.
public struct QueryServiceConfiguration: Sendable, Hashable {
    /// What answers where the read model has nothing yet.
    public enum Fallback: String, Sendable, CaseIterable {
        case none
        /// The demo shop's tables, which are in the same database.
        case writeModel = "write-model"
    }

    /// A read model of orders.
    public enum ReadModel: String, Sendable, CaseIterable {
        case orderSummary = "order-summary"
        /// It shows the latest orders, too, so it needs ``orderSummary``.
        case dashboard
    }

    /// The read models of orders that answers are made of. Without any, only queries in SQL are answered, and the
    /// database needs no tables of orders.
    public var readModels = Set(ReadModel.allCases)
    /// Database sessions for reads; dashboards, waiting and the pipeline have one more each.
    public var connections = 4
    /// Reads that wait for one of them, at most.
    public var maxQueued = 2_000
    /// Milliseconds that a read waits for one, at most.
    public var queueTimeoutMs = 2_000
    /// Milliseconds that a read may take, at most.
    public var readTimeoutMs = 5_000
    /// Whether an order that the read model does not have is looked for in the write model.
    public var fallback = Fallback.none
    /// Milliseconds by which a replica that answers may be behind the primary, at most.
    public var replicaMaxDelayMs = 5_000
    /// Seconds that a request may wait for a version, at most.
    public var maxWaitSeconds = 30
    /// Requests that wait so at once, at most.
    public var maxWaiters = 5_000
    /// The channel that the projection of orders notifies of applied events, so that waiting requests are answered at
    /// once; nil to only poll.
    public var notifyChannel: String?
    /// Milliseconds between two updates of a dashboard, at least.
    public var updateIntervalMs = 500
    /// Milliseconds between two looks at the pipeline.
    public var pipelineIntervalMs = 500
    /// Milliseconds of silence after which a stream is sent a sign of life.
    public var heartbeatMs = 10_000
    /// Queries that are files of SQL.
    public var sql = SQLQueryConfiguration()

    public init() {}

    /// What is wrong with the values, in words; empty when nothing is.
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
