/// The settings of a relay that may change while it publishes.
public struct RelayLimits: Sendable, Hashable {
    /// See ``OutboxRelayConfiguration/maxInFlightRows``.
    public var maxInFlightRows: Int
    /// See ``OutboxRelayConfiguration/maxInFlightBytes``.
    public var maxInFlightBytes: Int
    /// See ``OutboxRelayConfiguration/busyPollMs``.
    public var busyPollMs: Int
    /// See ``OutboxRelayConfiguration/idlePollMs``.
    public var idlePollMs: Int

    /// - Parameter configuration: must be valid.
    public init(_ configuration: OutboxRelayConfiguration) {
        maxInFlightRows = configuration.maxInFlightRows
        maxInFlightBytes = configuration.maxInFlightBytes
        busyPollMs = configuration.busyPollMs
        idlePollMs = configuration.idlePollMs
    }

    var pacing: PollPacing { PollPacing(busy: .milliseconds(busyPollMs), idle: .milliseconds(idlePollMs)) }
}
