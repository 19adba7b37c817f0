internal import Daemon
public import Settings

extension SectionReader {
    /// Reads `notify_channel`, the channel that is notified of new rows of the outbox.
    ///
    /// - Returns: nil if nobody is notified.
    public func outboxNotifyChannel() -> String? {
        let channel = string(
            "notify_channel", default: NotifyChannels.outbox,
            """
            Channel of PostgreSQL's NOTIFY for new events. The daemon notifies it after each transaction with events, \
            and outbox-relay reads the outbox at once. Set it to relay.notify_channel of outbox-relay. "" sends no \
            notification; the relay then finds the events when it polls.
            """, check: NotifyChannels.problem)
        return NotifyChannels.channel(channel)
    }
}
