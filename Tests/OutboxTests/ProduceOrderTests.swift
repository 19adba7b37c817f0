import Testing

@testable import Outbox

@Suite struct ProduceOrderTests {
    /// These values come from Apache Kafka's own test of its hash function (`UtilsTest.testMurmur2`).
    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
        ] as [(String, Int32)])
    func theHashIsKafkas(key: String, hash: Int32) {
        #expect(Int32(bitPattern: Murmur2.hash(Array(key.utf8).span)) == hash)
    }
}

@Suite struct ProduceQueueTests {
    @Test func rowsThatWaitComeAgainInTheirOrder() {
        var queue = ProduceQueue(order: [2, 0, 1, 3], count: 4)
        #expect(queue.next == 2)
        queue.deferNext()
        queue.advance()
        #expect(queue.next == 1)
        queue.deferNext()
        queue.advance()
        #expect(queue.next == nil)
        #expect(queue.hasWaiting)
        queue.goThroughWaiting()
        #expect(queue.next == 2)
        queue.deferNext()
        queue.advance()
        #expect(queue.next == nil)
        queue.goThroughWaiting()
        #expect(queue.next == 2)
        queue.advance()
        #expect(queue.next == nil)
        #expect(!queue.hasWaiting)
    }

    @Test func withoutAnOrderRowsComeAsTheyAre() {
        var queue = ProduceQueue(order: nil, count: 2)
        #expect(queue.next == 0)
        queue.advance()
        #expect(queue.next == 1)
        queue.advance()
        #expect(queue.next == nil)
    }
}
