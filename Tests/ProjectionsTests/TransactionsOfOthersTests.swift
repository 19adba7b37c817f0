import EmbeddedKafka
import Kafka
import Logging
import StreamCore
import TestKit
import Testing

@testable import Projections

/// The markers that producers' transactions leave in a topic, and the records that an open transaction hides.
@Suite(.disabled(if: TestKafka.isMock, "the mock knows no transaction markers"))
struct TransactionsOfOthersTests {
    /// The partition ends with transaction markers and an aborted transaction. No record follows.
    @Test func offsetsWithoutRecordsArePassed() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let transaction = Transaction(ledger.kafka, topic: ledger.topics[0])
            let events = [ledger.next("a"), ledger.next("a")]
            try await transaction.run(events.map { (Array("a".utf8), $0.wire) }, .commit)
            try await transaction.run([(Array("b".utf8), ledger.next("b").wire)], .abort)
            let partition = TopicPartition(topic: ledger.topics[0], partition: 0)
            let observer = Observer()
            try await running(ledger.runner(observer: observer)) {
                // Two events and their marker, then one aborted event and its marker.
                try await eventually { try await ledger.status()?.nextOffsets[partition] == 5 }
                try await eventually { observer.now.standing[partition]?.next == 5 }
                #expect(observer.now.standing[partition]?.end == 5)
                try await transaction.run([(Array("a".utf8), ledger.next("a").wire)], .commit)
                try await eventually { try await ledger.rows()["a"]?.count == 3 }
                try await eventually {
                    let end = try await KafkaAdmin(ledger.kafka).endOffsets(of: [partition])[partition]
                    return try await ledger.status()?.nextOffsets[partition] == end
                }
            }
            // The next run continues after the markers.
            let log = RecordedLog()
            try await ledger.produce([ledger.next("c")])
            try await running(ledger.runner(log: log)) { try await ledger.caughtUp() }
            #expect(log.lines("partition stopped").isEmpty)
            #expect(try await ledger.rows()["b"] == nil)
            #expect(try await ledger.rows()["c"]?.count == 1)
        }
    }

    /// The consumer cannot read beyond the start of an open transaction. This is neither lag nor a stall of the
    /// projection: it has reached the end that the broker reports, and continues by itself afterwards.
    @Test func anOpenTransactionHidesWhatIsBehindIt() async throws {
        try await Ledger.with(partitions: 1) { ledger in
            let partition = TopicPartition(topic: ledger.topics[0], partition: 0)
            let observer = Observer()
            let log = RecordedLog()
            try await ledger.produce([ledger.next("a")])
            try await running(ledger.runner(observer: observer, log: log)) {
                try await eventually { try await ledger.status()?.nextOffsets[partition] == 1 }
                let hidden = ledger.next("b")
                try await Transaction(ledger.kafka, topic: ledger.topics[0]).held(
                    [(Array("b".utf8), hidden.wire)], .commit
                ) {
                    try await ledger.produce([ledger.next("a"), ledger.next("b")])
                    let all = try KafkaAdmin(ledger.kafka, countsOpenTransactions: true)
                    #expect(try await all.endOffsets(of: [partition]) == [partition: 4])
                    #expect(try await KafkaAdmin(ledger.kafka).endOffsets(of: [partition]) == [partition: 1])
                    try await eventually {
                        let standing = observer.now.standing[partition]
                        return standing?.next == 1 && standing?.end == 1
                    }
                }
                // Three records and the marker.
                try await eventually { try await ledger.status()?.nextOffsets[partition] == 5 }
                #expect(try await ledger.rows()["a"]?.count == 2)
                #expect(try await ledger.rows()["b"]?.count == 2)
            }
            #expect(log.lines("partition stopped").isEmpty)
        }
    }
}
