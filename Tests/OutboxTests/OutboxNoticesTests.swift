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

    /// The row of this notice may have become visible after the page's snapshot was taken.
    @Test func aNoticeDuringTheReadLeavesNoPause() async {
        let signal = WakeSignal()
        let notices = OutboxNotices(waking: signal)
        notices.beginRead()
        notices.arrived()
        await notices.wait(atMost: .seconds(3_600))
        // The notice does not end a later pause as well.
        let start = ContinuousClock.now
        await signal.wait(atMost: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }

    /// A page that is requested after the notice contains the notice's row.
    @Test func aNoticeBeforeTheReadIsForgotten() async {
        let notices = OutboxNotices(waking: WakeSignal())
        notices.arrived()
        notices.beginRead()
        let start = ContinuousClock.now
        await notices.wait(atMost: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(20))
    }

    @Test func rowsWithoutANoticeShowThatNotAllAreToldOf() {
        let notices = OutboxNotices(waking: WakeSignal())
        notices.beginRead()
        notices.foundRows()
        #expect(!notices.areSent)
        notices.arrived()
        notices.beginRead()
        notices.foundRows()
        #expect(notices.areSent, "the notice came before the page was requested")
        notices.beginRead()
        notices.arrived()
        notices.foundRows()
        #expect(notices.areSent, "the notice came while the page was read")
        notices.beginRead()
        #expect(notices.areSent, "an empty page shows nothing")
        notices.beginRead()
        notices.foundRows()
        #expect(!notices.areSent)
        notices.arrived()
        #expect(notices.areSent)
        notices.cannotCome()
        #expect(!notices.areSent)
    }
}
