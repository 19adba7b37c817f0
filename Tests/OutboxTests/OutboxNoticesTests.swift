import Leadership
import TestKit
import Testing

@testable import Outbox

@Suite struct OutboxNoticesTests {
    @Test func aNoticeEndsThePauseAfterAnEmptyPage() async {
        let notices = OutboxNotices(waking: WakeSignal())
        notices.beginRead()
        async let pause: Void = notices.wait(atMost: .seconds(3_600))
        notices.arrived()
        await pause
    }

    /// Its row may have become visible behind the page's snapshot.
    @Test func aNoticeDuringTheReadLeavesNoPause() async {
        let signal = WakeSignal()
        let notices = OutboxNotices(waking: signal)
        notices.beginRead()
        notices.arrived()
        await notices.wait(atMost: .seconds(3_600))
        // It has not woken a pause that comes later.
        let start = ContinuousClock.now
        await signal.wait(atMost: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }

    /// The page that is requested after the notice has its row.
    @Test func aNoticeBeforeTheReadIsForgotten() async {
        let notices = OutboxNotices(waking: WakeSignal())
        notices.arrived()
        notices.beginRead()
        let start = ContinuousClock.now
        await notices.wait(atMost: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }
}
