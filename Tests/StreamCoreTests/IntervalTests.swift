import StreamCore
import Testing

@Suite struct IntervalTests {
    @Test func itIsTimeAtFirstAndAfterEachLength() {
        let start = ContinuousClock.now
        var interval = Interval(.seconds(10))
        let due = [0, 1, 9, 10, 11, 19, 20, 45].map { interval.isDue(start + .seconds($0)) }
        #expect(due == [true, false, false, true, false, false, true, true])
        interval.end()
        let again = [46, 47].map { interval.isDue(start + .seconds($0)) }
        #expect(again == [true, false])
    }
}
